#include "launch/ranks/mpi_job.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "collective/mpi/mpi.h"
#include "launch/event_log.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/ranks/crew.h"
#include "launch/run_folder.h"
#include "launch/simulate.h"
#include "launch/stages/material.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using nlohmann::json;

// While rank 0 alone packs the bundle the others wait; mpirun itself ends the job when one dies.
constexpr std::chrono::hours kPatience{24};

// Ranks on this machine, as whoever started them says.
std::int64_t ranks_here(std::int64_t ranks) {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE"}) {
    const char* text = std::getenv(name);
    const std::int64_t found = text == nullptr ? 0 : std::strtoll(text, nullptr, 10);
    if (found > 0) return std::min(found, ranks);
  }
  return ranks;
}

// The job of the folder if there is one, else the command's.
RunFolder open_folder(const MpiCommand& command, Job& job, bool& resumed) {
  resumed = !command.run.empty() && std::filesystem::exists(command.run / "job.toml");
  if (resumed) return RunFolder::reopen(command.run, job);
  job = assemble_job(command.preset, command.job, command.assignments);
  check_job(job);
  return command.run.empty() ? RunFolder::create_default(job) : RunFolder::create(command.run, job);
}

// Rank 0 says where, the others look.
RunFolder join_folder(const MpiCommand& command, Collective& all, Job& job, bool& resumed) {
  std::array<char, 4096> path{};
  if (all.rank() == 0) {
    RunFolder folder = open_folder(command, job, resumed);
    const std::string text = std::filesystem::absolute(folder.path()).string();
    std::copy_n(text.data(), std::min(text.size(), path.size() - 1), path.data());
    all.broadcast({path.data(), path.size(), ElementType::kUint8}, 0).wait();
    return folder;
  }
  all.broadcast({path.data(), path.size(), ElementType::kUint8}, 0).wait();
  return RunFolder::attach(path.data(), job);
}

// Cores are shared by the ranks of a machine. A student of several ranks has as many threads in
// all; one alone has them all, and so the bits it has in one process.
void share_machine(Job& job, std::int64_t ranks, std::int64_t distillers) {
  resolve_machine(job);
  const std::int64_t here = ranks_here(ranks);
  job.run.workers = std::max<std::int64_t>(1, job.run.workers / here);
  job.run.memory_mb = std::max<std::int64_t>(512, job.run.memory_mb / here);
  job.run.threads = std::max<std::int64_t>(1, job.run.threads / std::min(here, distillers));
}

json lead(const Run& run, const Material& material, bool resumed) {
  json report = run_stages(run, material, resumed);
  run.crew->dismiss();
  return report;
}

}  // namespace

json run_on_ranks(const MpiCommand& command, Progress& progress, std::atomic<bool>& stop) {
  mpi::Session session;
  mpi::Options options;
  options.deadline = kPatience;
  const auto all = mpi::make(session, options);
  Job job;
  bool resumed = false;
  const RunFolder folder = join_folder(command, *all, job, resumed);
  check_job(job);
  const std::int64_t distillers = job.distillation.ranks == 0
                                      ? all->size()
                                      : std::min<std::int64_t>(job.distillation.ranks, all->size());
  share_machine(job, all->size(), distillers);
  options.group = all->rank() < distillers ? 0 : 1;
  const auto mine = mpi::make(session, options);
  Crew crew(*all, options.group == 0 ? mine.get() : nullptr);
  const bool leads = all->rank() == 0;
  Material material;
  if (leads) material = material_of_run(job, folder);
  all->barrier().wait();  // the split is written
  if (!leads) material = load_material(job, folder.file("split.json"));
  const std::filesystem::path log =
      leads ? folder.path() : folder.path() / "ranks" / std::to_string(all->rank());
  std::filesystem::create_directories(log);
  EventLog events(log);
  Progress quiet(std::cerr, terminal_progress(true));
  const Run run{job, folder, events, leads ? progress : quiet, stop, &crew};
  try {
    if (leads) return lead(run, material, resumed);
    crew.serve(run, material);
    return nullptr;
  } catch (const Stopped&) {
    throw Stopped("interrupted; go on with the same command and --run " + folder.path().string());
  }
}

}  // namespace fedstill
