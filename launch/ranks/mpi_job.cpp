#include "launch/ranks/mpi_job.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "collective/mpi/mpi.h"
#include "launch/counted.h"
#include "launch/event_log.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/ranks/crew.h"
#include "launch/ranks/join_devices.h"
#include "launch/ranks/leave_together.h"
#include "launch/ranks/neighbours.h"
#include "launch/ranks/say.h"
#include "launch/ranks/started.h"
#include "launch/run_folder.h"
#include "launch/simulate.h"
#include "launch/stages/material.h"
#include "launch/stages/rounds.h"
#include "launch/stop_signal.h"
#include "model/atomic_file.h"
#include "model/text_file.h"
#include "training/device.h"
#include "training/fit.h"
#include "transport/mpi/mpi_channel.h"

namespace fedstill {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxSplitBytes = std::size_t{1} << 32;

// The job of the folder if there is one, else the command's.
RunFolder open_folder(const MpiCommand& command, int place, Job& job, bool& resumed) {
  resumed = !command.run.empty() && std::filesystem::exists(command.run / "job.toml");
  if (resumed) {
    RunFolder folder = RunFolder::reopen(command.run, job);
    const bool given =
        !command.job.empty() || !command.assignments.empty() || command.seed.has_value();
    if (given && job_hash(effective_job(command)) != job_hash(job)) {
      throw JobError("[mpi] " + command.run.string() +
                     " holds another job; leave the job out, or choose another --run");
    }
    set_workers(job, command);
    if (!command.device.empty()) move_to_device(job, command.device);
    return folder;
  }
  job = effective_job(command);
  open_device(job.run.device, {.local_rank = place});  // before there is a folder
  return command.run.empty() ? RunFolder::create_default(job) : RunFolder::create(command.run, job);
}

// What rank 0 begins or goes on with, so that every rank does. Rank 0 holds the run; another rank
// has a folder of its own below the same path, on whatever disk that is there.
struct Place {
  RunFolder folder;
  Job job;
  bool resumed = false;
};
Place take_place(const MpiCommand& command, int place, Collective& all,
                 const std::atomic<bool>& stop) {
  Job job;
  bool resumed = false;
  if (all.rank() == 0) {
    RunFolder folder = open_folder(command, place, job, resumed);
    claim(folder, "simulate");
    say(all,
        json{{"path", std::filesystem::absolute(folder.path()).string()},
             {"job", write_job(job)},
             {"resumed", resumed}}
            .dump(),
        0, stop);
    return {std::move(folder), job, resumed};
  }
  const json said = json::parse(say(all, "", 0, stop));
  apply_toml(job, said.at("job").get<std::string>(), "[mpi] the job of rank 0");
  resumed = said.at("resumed");
  const std::filesystem::path run = said.at("path").get<std::string>();
  return {RunFolder::of_rank(run / "ranks" / std::to_string(all.rank()), job, resumed), job,
          resumed};
}

// The data as rank 0 deals it out; every rank reads its own copy, which must be the same.
Material take_material(const Job& job, const RunFolder& folder, Collective& all,
                       const std::atomic<bool>& stop) {
  Material material;
  json dealt;
  if (all.rank() == 0) {
    material = material_of_run(job, folder);
    dealt = {{"split", read_text(folder.file("split.json"), kMaxSplitBytes)},
             {"data", *folder.recall("data")}};
  }
  dealt = json::parse(say(all, dealt.dump(), 0, stop));
  if (all.rank() == 0) return material;
  write_file_atomically(folder.file("split.json"), dealt.at("split").get<std::string>());
  folder.remember("data", dealt.at("data"));
  return material_of_run(job, folder);
}

// What the job leaves to the machine is shared by the ranks on these cores. A student of several
// ranks has as many threads in all; one alone has them all, and so the bits it has in one process.
void share_machine(Job& job, std::int64_t here, std::int64_t distillers) {
  const Job::Run asked = job.run;
  resolve_machine(job);
  const auto share = [](std::int64_t all, std::int64_t ranks, std::int64_t least) {
    return std::max(least, all / ranks);
  };
  if (asked.workers == 0) job.run.workers = share(job.run.workers, here, 1);
  if (asked.memory_mb == 0 && job.run.memory_mb > 0)
    job.run.memory_mb = share(job.run.memory_mb, here, 512);
  if (asked.threads == 0) job.run.threads = share(job.run.threads, std::min(here, distillers), 1);
}

void check_distillers(const Job& job, const RunFolder& folder, std::int64_t distillers) {
  const std::int64_t batch = std::min(job.distillation.batch, job.data.pool);
  if (distillers > batch) {
    throw JobError("[job] " + std::to_string(distillers) + " ranks share batches of " +
                   counted(batch, "image") + ": set distillation.ranks or distillation.batch");
  }
  const auto before = folder.recall("distillers");
  bool under_way = false;
  for (std::int64_t round = 1; round <= job.round.count; ++round) {
    const auto place = folder.path() / round_folder(job, round);
    under_way = under_way || std::filesystem::exists(place / "student.checkpoint");
  }
  if (before && *before != distillers && under_way) {
    throw JobError("[mpi] the student under way in " + folder.path().string() + " is fitted by " +
                   before->dump() + " ranks, not by " + std::to_string(distillers) +
                   ": start as many, or remove student.checkpoint");
  }
  folder.remember("distillers", distillers);
}

// How many ranks train the student: the first of them, and never one that only trains clients.
std::int64_t distillers_of(const Job& job, std::int64_t ranks) {
  const std::int64_t coordinators = job.ranks.coordinators;
  if (coordinators >= ranks) {
    throw JobError("[mpi] ranks.coordinators = " + std::to_string(coordinators) + " of " +
                   std::to_string(ranks) + " ranks leaves none for the clients");
  }
  const std::int64_t most = coordinators > 0 ? coordinators : ranks;
  return job.distillation.ranks == 0 ? most : std::min(job.distillation.ranks, most);
}

// Of the whole job: another rank's folder is two below.
std::filesystem::path run_path(const Run& run, bool leads) {
  return leads ? run.folder.path() : run.folder.path().parent_path().parent_path();
}

// mpirun, told of a dead rank, may leave the others no time to say more.
std::unique_ptr<LastWords> last_words(const Neighbours& neighbours, const std::string& how) {
  if (!neighbours.first_is_here) return nullptr;
  return std::make_unique<LastWords>(
      "fedstill: stopping, as it was told to or a rank is gone; " + how, neighbours.before);
}

json lead(const Run& run, const Material& material, bool resumed) {
  json report = run_stages(run, material, resumed);
  run.crew->dismiss();
  return report;
}

}  // namespace

json run_on_ranks(const MpiCommand& command, Progress& progress, std::atomic<bool>& stop) {
  refuse_strangers();
  mpi::Session session;
  mpi::Options options;
  options.deadline = kRanksPatience;
  const auto all = mpi::make(session, options), leaving = mpi::make(session, options);
  const mpi::Channels channels = mpi::open_channels();
  const Neighbours neighbours = find_neighbours(*all);
  Place place = take_place(command, neighbours.place, *all, stop);
  auto& [folder, job, resumed] = place;
  check_job(job);
  const at::Device device = open_device(job.run.device, {.local_rank = neighbours.place});
  const std::int64_t distillers = distillers_of(job, all->size());
  share_machine(job, neighbours.on_my_cores, distillers);
  options.group = all->rank() < distillers ? 0 : 1;
  const auto mine = mpi::make(session, options);
  const bool leads = all->rank() == 0;
  if (leads) check_distillers(job, folder, distillers);
  const Material material = take_material(job, folder, *all, stop);
  Progress quiet(std::cerr, terminal_progress(true));
  const bool distils = options.group == 0;
  const auto devices = distils ? join_devices(device, *mine, progress) : nullptr;
  Crew crew({*all, distils ? mine.get() : nullptr, channels, folder.path(), devices.get(), device},
            job, stop);
  EventLog events(folder.path());
  Run run{job, folder, events, leads ? progress : quiet, stop, &crew};
  run.device = device;
  run.device_ranks = ranks_on_device(*all, device, device_uuid(device));
  const std::string how = "go on with the same command and --run " + run_path(run, leads).string();
  const auto words = last_words(neighbours, how);
  try {
    if (leads) return lead(run, material, resumed);
    crew.serve(run, material);
    return nullptr;
  } catch (const Stopped&) {
    leave_together(*leaving, channels);
    throw Stopped("interrupted; " + how);
  } catch (const CollectiveError& error) {
    throw CollectiveError(std::string(error.what()) + "; " + how);
  } catch (const ChannelClosed& error) {
    throw CollectiveError(std::string(error.what()) + "; " + how);
  }
}

}  // namespace fedstill
