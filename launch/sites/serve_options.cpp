#include "launch/sites/serve_options.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "launch/advice.h"
#include "launch/job_check.h"
#include "launch/job_difference.h"
#include "launch/job_file.h"
#include "launch/machine.h"
#include "launch/settings.h"
#include "launch/sites/identity_folder.h"
#include "launch/stages/run.h"
#include "model/atomic_file.h"
#include "training/device.h"

namespace fedstill {
namespace {

constexpr const char* kCoordinator = "coordinator";  // or `simulate` would go on with its state
constexpr std::size_t kMoreConnections = 64;         // administrators, and clients coming back

// What a client trains with, and nothing else of the job: paths stay here.
std::string client_settings(Job job) {
  std::string out, section;
  for (const Setting& setting : settings_of(job)) {
    const bool later = setting.section == "round" && setting.changes_result;
    if (setting.name() == "clients.threads") continue;  // a site has its own
    const bool trains = setting.section == "clients" || setting.section == "head" ||
                        (later && job.round.count > 1) || setting.name() == "run.seed" ||
                        setting.name() == "run.bf16";
    if (!trains) continue;
    if (setting.section != section) out.append("[").append(setting.section).append("]\n");
    section = setting.section;
    out.append(setting.key).append(" = ").append(toml_value(setting)).append("\n");
  }
  return out;
}

Job job_of(const CoordinatorCommand& command) {
  Job job = assemble_job(command.preset, command.job, command.assignments);
  check_job(job);
  if (job.clients.liars > 0) {
    throw JobError("[job] clients.liars = " + std::to_string(job.clients.liars) +
                   " is for simulate: real clients are not told to lie");
  }
  resolve_machine(job);
  return job;
}

// How long is waited, and with how few it goes on: nothing that was accepted depends on it, so it
// may change while the job is under way.
bool may_change(const Setting& setting) {
  return setting.section == "round" && !setting.changes_result;
}

// What the line asks for. Without a job file its settings are over those of the job that is there.
Job asked_of(const CoordinatorCommand& command, const Job& holds) {
  Job asked = holds;
  if (!command.job.empty() || command.preset != CoordinatorCommand{}.preset) {
    asked = job_of(command);
  } else {
    for (const std::string& assignment : command.assignments) apply_assignment(asked, assignment);
    check_job(asked);
  }
  return asked;
}

Job go_on_as_asked(const CoordinatorCommand& command, const RunFolder& folder, const Job& holds) {
  const Job asked = asked_of(command, holds);
  Job compared = holds;
  if (!command.device.empty()) compared.run.device = asked.run.device;  // it is over both
  const std::string difference =
      difference_text(compared, asked, [](const Setting& s) { return !may_change(s); });
  if (!difference.empty()) {
    throw Advised<JobError>(
        "[coordinator] --state " + command.state.string() + " holds another job: " + difference,
        "leave the job out to go on with that one, or choose another --state");
  }
  Job kept = holds;
  kept.round = asked.round;
  if (const std::string text = write_job(kept); text != write_job(holds)) {
    write_file_atomically(folder.file("job.toml"), std::as_bytes(std::span(text)));
  }
  return asked;
}

}  // namespace

RunFolder open_state(const CoordinatorCommand& command, Job& job) {
  if (!std::filesystem::exists(command.state / "job.toml")) {
    job = job_of(command);
    if (!command.device.empty()) job.run.device = command.device;
    open_device(job.run.device);  // before there is a folder
    RunFolder folder = RunFolder::create(command.state, job);
    claim(folder, kCoordinator);
    return folder;
  }
  RunFolder folder = RunFolder::reopen(command.state, job);
  claim(folder, kCoordinator);
  check_job(job);
  resolve_machine(job);
  const bool given = !command.job.empty() || !command.assignments.empty();
  if (given) job = go_on_as_asked(command, folder, job);
  if (!command.device.empty()) job.run.device = command.device;
  return folder;
}

CoordinatorOptions coordinator_options(const Job& job, const Material& material,
                                       const BlobInfo& pool) {
  CoordinatorOptions options;
  options.round.expected_clients = static_cast<int>(job.clients.count);
  options.round.min_clients = static_cast<int>(std::min(job.round.minimum, job.clients.count));
  options.round.deadline = std::chrono::minutes(job.round.deadline_minutes);
  options.round.silent_after = std::chrono::seconds(job.round.silent_seconds);
  options.round.stalled_after = std::chrono::minutes(job.round.stalled_minutes);
  options.plan = {job_hash(job), kFirstRound, pool.sha256, material.classes()};
  options.plan.rounds = static_cast<std::uint32_t>(job.round.count);
  options.plan.settings = client_settings(job);
  options.plan.pool_bytes = pool.bytes;
  options.image = material.data.train.images->shape;
  options.classes = material.classes();
  options.pool_samples = material.pool.images.count();
  return options;
}

ServerOptions server_options(const CoordinatorCommand& command, const Job& job) {
  ServerOptions options;
  options.listen = parse_endpoint(command.listen);
  options.credentials = credentials_of(command.identity);
  options.access.revoked = command.revoked;
  options.access.allowed = command.allowed;
  options.limits.bytes_per_second = static_cast<std::uint64_t>(command.bytes_per_second);
  options.limits.max_connections =
      std::max<std::size_t>(options.limits.max_connections,
                            static_cast<std::size_t>(job.clients.count) + kMoreConnections);
  return options;
}

}  // namespace fedstill
