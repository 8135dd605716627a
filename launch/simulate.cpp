#include "launch/simulate.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "launch/event_log.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/ranks/started.h"
#include "launch/report.h"
#include "launch/run_folder.h"
#include "launch/stages/clients.h"
#include "launch/stages/federation.h"
#include "launch/stages/material.h"
#include "launch/stages/reuse.h"
#include "launch/stages/rounds.h"
#include "training/device.h"
#include "training/executor.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using nlohmann::json;

CoordinatorOptions coordinator_options(const Job& job, const Material& material) {
  CoordinatorOptions options;
  options.round.expected_clients = static_cast<int>(job.clients.count);
  options.round.min_clients = static_cast<int>(job.clients.count);
  options.round.deadline = std::chrono::hours(24 * 365);  // in one process nobody is late
  options.plan = {job_hash(job), kFirstRound, material.pool.hash(), material.classes()};
  options.plan.rounds = static_cast<std::uint32_t>(job.round.count);
  options.image = material.data.train.images->shape;
  options.classes = material.classes();
  return options;
}

void announce(const Run& run, const Material& material, bool resumed) {
  const json job{{"job", job_hash(run.job)}, {"split", material.split.hash()}};
  run.events.event(resumed ? "run_resumed" : "run_started", job);
  run.progress.message((resumed ? "resuming " : "run folder ") + run.folder.path().string());
  if (run.job.run.bf16 && run.device.is_cpu() && !bf16_pays()) {
    run.progress.message(
        "run.bf16 = true: on a processor without AMX tiles that was measured to train slower");
  }
}

RoundOutcome play_round(const Run& run, const Material& material, Federation& federation) {
  std::vector<ClientRecord> clients;
  timed_stage(run, "clients", [&] { clients = train_clients(run, material, federation); });
  RoundOutcome outcome = finish_round(run, material, std::move(clients), federation.teachers());
  remember_round(run, round_summary(run, outcome));
  federation.publish(outcome.bundle.bytes, leave_lesson(run, material, outcome));
  return outcome;
}

json do_stages(const Run& run, const Material& material) {
  Store store(run.folder.file("store"));
  Federation federation(coordinator_options(run.job, material), store, run.folder.file("sites"));
  RoundOutcome outcome;
  for (std::int64_t round = federation.round(); round <= run.job.round.count; ++round) {
    announce_round(run, round);
    outcome = play_round(RoundRun(run, material, round).run(), material, federation);
  }
  std::optional<json> report = finished_report(run.folder, outcome);
  if (!report) {
    report = make_report(run, material, outcome);
    write_report(run.folder, *report);
  }
  run.events.event("run_finished", {{"student", outcome.student.record.sha256}});
  return std::move(*report);
}

// Under mpirun or srun every rank would run the whole.
void refuse_ranks(const std::string& program) {
  if (started_ranks() == 1) return;
  throw UsageError("found " + std::to_string(started_ranks()) + " ranks, expected 1: " + program +
                   " runs alone; ranks share a job in fedstill mpi, and FedAvg in fedstill fedavg");
}

// A run and what is done in it.
struct Opened {
  Job job;
  RunFolder folder;
  Material material;
  at::Device device;
};

Opened begin(const SimulateCommand& command, const RunProgram& program) {
  Job job = effective_job(command);
  if (!program.on_devices && job.run.device != "cpu") {
    throw JobError("[job] " + program.name + " trains on processors only: --set run.device=cpu");
  }
  resolve_machine(job);
  const at::Device device = open_device(job.run.device);  // before there is a folder
  if (!command.clients_from.empty()) check_same_clients(command.clients_from, job);
  const auto began = std::chrono::steady_clock::now();
  Material material = load_material(job);
  const std::chrono::duration<double> loading = std::chrono::steady_clock::now() - began;
  if (!command.clients_from.empty()) check_same_data(command.clients_from, material);
  program.check(job, material);
  RunFolder folder =
      command.run.empty() ? RunFolder::create_default(job) : RunFolder::create(command.run, job);
  claim(folder, program.name);
  write_split(folder.file("split.json"), material.split);
  folder.remember("seconds", {{"load", loading.count()}});
  remember_data(folder, material);
  if (!command.clients_from.empty()) {
    take_clients(command.clients_from, folder.part(round_folder(job, 1)));
  }
  return {std::move(job), std::move(folder), std::move(material), device};
}

// A student that several ranks fit, together, is not that of one process.
void refuse_run_of_ranks(const RunFolder& folder) {
  const auto distillers = folder.recall("distillers");
  if (!distillers || *distillers == 1) return;
  const std::string ranks = distillers->dump();
  throw JobError("[run] " + folder.path().string() + " is a run of " + ranks +
                 " ranks; go on with mpirun -np " + ranks + " fedstill mpi --run " +
                 folder.path().string());
}

Opened take_up(const SimulateCommand& command, const RunProgram& program) {
  Job job;
  RunFolder folder = RunFolder::reopen(command.resume, job);
  claim(folder, program.name);
  refuse_run_of_ranks(folder);
  set_workers(job, command);
  if (!command.device.empty()) move_to_device(job, command.device);
  check_job(job);
  resolve_machine(job);  // a job file written by hand may leave it open, and --workers 0 does
  const at::Device device = open_device(job.run.device);
  Material material = material_of_run(job, folder);
  program.check(job, material);
  return {std::move(job), std::move(folder), std::move(material), device};
}

}  // namespace

void set_workers(Job& job, const SimulateCommand& command) {
  if (command.workers) apply_assignment(job, "run.workers=" + std::to_string(*command.workers));
}

json run_stages(const Run& run, const Material& material, bool resumed) {
  announce(run, material, resumed);
  try {
    return do_stages(run, material);
  } catch (const Stopped&) {
    run.events.event("interrupted", json::object());
    throw;
  } catch (const std::exception& error) {
    run.events.event("failed", {{"what", error.what()}});
    throw;
  }
}

Job effective_job(const SimulateCommand& command) {
  Job job = assemble_job(command.preset, command.job, command.assignments);
  if (command.seed) apply_assignment(job, "run.seed=" + std::to_string(*command.seed));
  set_workers(job, command);
  if (!command.device.empty()) job.run.device = command.device;
  check_job(job);
  return job;
}

json in_run_folder(const SimulateCommand& command, const RunProgram& program, Progress& progress,
                   std::atomic<bool>& stop) {
  if (!program.shared) refuse_ranks(program.name);
  const bool resumed = !command.resume.empty();
  const Opened opened = resumed ? take_up(command, program) : begin(command, program);
  EventLog events(opened.folder.path());
  Run run{opened.job, opened.folder, events, progress, stop};
  run.device = opened.device;
  try {
    return program.work(run, opened.material, resumed);
  } catch (const Stopped&) {
    throw Stopped("interrupted; go on with: fedstill " + program.name + " --resume " +
                  opened.folder.path().string());
  }
}

json simulate(const SimulateCommand& command, Progress& progress, std::atomic<bool>& stop) {
  const auto no_more = [](const Job&, const Material&) {};  // load_material() checked
  return in_run_folder(command, {"simulate", no_more, run_stages}, progress, stop);
}

}  // namespace fedstill
