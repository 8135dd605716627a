#include "launch/sites/serve.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "coordinator/teachers.h"
#include "data/idx_writer.h"
#include "launch/counted.h"
#include "launch/event_log.h"
#include "launch/input.h"
#include "launch/job_file.h"
#include "launch/report.h"
#include "launch/run_folder.h"
#include "launch/sites/administration.h"
#include "launch/sites/delivery.h"
#include "launch/sites/identity_folder.h"
#include "launch/sites/monitor.h"
#include "launch/sites/serve_options.h"
#include "launch/sites/service.h"
#include "launch/sites/service_log.h"
#include "launch/sites/service_record.h"
#include "launch/sites/status.h"
#include "launch/sites/task_ahead.h"
#include "launch/sites/upstream.h"
#include "launch/stages/clients.h"
#include "launch/stages/material.h"
#include "launch/stages/rounds.h"
#include "launch/stages/run.h"
#include "training/device.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{100};

BlobInfo add_pool(Store& store, const Material& material) {
  const std::vector<std::uint8_t> bytes = encode_idx_images(material.pool.images);
  return store.blobs().add(std::as_bytes(std::span(bytes)));
}

std::optional<Membership> upstream_of(const CoordinatorCommand& command) {
  if (command.upstream.empty()) return std::nullopt;
  return Membership{.coordinator = command.upstream,
                    .identity = command.upstream_identity,
                    .state = command.state / "upstream",
                    .revoked = command.revoked,
                    .proxy = command.upstream_proxy};
}

// All rounds of a job, from the first connection to the last bundle.
class Federated {
 public:
  Federated(const CoordinatorCommand& command, const Run& run, const Material& material,
            ServiceLog& log)
      : run_(run),
        material_(material),
        record_(run, log),
        waits_on_failure_(command.wait_on_failure),
        upstream_(upstream_of(command)),
        store_(run.folder.file("store")),
        pool_(add_pool(store_, material)),
        coordinator_(coordinator_options(run.job, material, pool_), store_, Service::now()),
        service_(
            server_options(command, run.job), coordinator_, reception_options(),
            [this](const std::string& what) { record_.note(what); },
            [this](const std::string& what) { record_.note_refusal(what); }) {
    service_.on_brain([](Coordinator& coordinator, Reception& reception, Instant now) {
      if (coordinator.round().state() == Round::State::kFailed) reception.reopen(now);
    });
    look_up_to(upstream_);
    if (command.monitor > 0) {
      monitor_.emplace(static_cast<std::uint16_t>(command.monitor), [this] { return look(); });
    }
    record_.tell("listening on port " + std::to_string(service_.port()) + ", waiting for " +
                 counted(run.job.clients.count, "client"));
    run.events.event("listening", {{"port", service_.port()}});
  }

  json run_rounds() {
    std::int64_t round = service_.on_brain(
        [](Coordinator& c, Reception&, Instant) -> std::int64_t { return c.round().number(); });
    for (; round < run_.job.round.count; ++round) {
      announce_round(run_, round);
      const RoundRun part(run_, material_, round);
      const RoundOutcome outcome = play_round(part.run());
      publish(outcome.bundle.bytes, leave_lesson(part.run(), material_, outcome));
    }
    announce_round(run_, round);
    const RoundRun last(run_, material_, round);
    const RoundOutcome outcome = play_round(last.run());
    json report = make_report(run_, material_, outcome);
    write_report(run_.folder, report);
    std::vector<std::byte> bundle = outcome.bundle.bytes;
    if (upstream_) {
      timed_stage(last.run(), "upstream",
                  [&] { bundle = go_upstream(*upstream_, last.run(), material_, outcome); });
    }
    timed_stage(last.run(), "delivery", [&] { deliver(bundle); });
    run_.events.event("run_finished", {{"student", outcome.student.record.sha256}});
    return report;
  }

  // Tells everybody before the sockets close.
  void leave(const std::string& reason) {
    monitor_.reset();  // it asks the service
    service_.on_brain(
        [&](Coordinator&, Reception& reception, Instant) { reception.end_all(reason); });
    service_.stop();
  }
  const std::string& stopped_by() const { return stopped_by_; }  // Requires: leave()

 private:
  ReceptionOptions reception_options() {
    ReceptionOptions options;
    options.software = "fedstill " FEDSTILL_VERSION;
    options.task = task_text({material_.data.train.images->shape, material_.classes()});
    options.unix_time = [] { return static_cast<std::int64_t>(std::time(nullptr)); };
    options.on_status = [this](const std::string& admin, const StatusRequest& request) {
      return answer(admin, request);
    };
    options.on_frame = [this](const std::string& peer, const Frame& frame, bool received) {
      record_.note_frame(peer, frame, received);
    };
    options.heartbeat =
        std::chrono::seconds(std::clamp<std::int64_t>(run_.job.round.silent_seconds / 3, 1, 60));
    return options;
  }

  // Hours before it is needed, so that a wrong name is noticed today.
  void look_up_to(const std::optional<Membership>& upstream) {
    if (!upstream) return;
    if (const std::string problem = find_dial_problem(*upstream); !problem.empty()) {
      record_.note(problem + "; it is needed when the rounds here are over");
    }
  }

  std::string answer(const std::string& admin, const StatusRequest& request) {
    if (request.what == "stop") {
      stopped_by_ = admin;
      run_.stop = true;
      return json{{"stopping", true}}.dump();
    }
    const LogLevel level = only_looks(request.what) ? LogLevel::kDebug : LogLevel::kInfo;
    record_.log().write(level, admin + " asks: " + request.what + " " + request.argument);
    Administration administration{
        coordinator_,         store_,
        service_.reception(), record_.log(),
        job_hash(run_.job),   static_cast<std::size_t>(run_.job.clients.count)};
    return administration.answer(request, admin, service_.time()).dump();
  }

  Vitals look() {
    Vitals out = service_.on_brain([](Coordinator& c, Reception& reception, Instant now) {
      return vitals_of(c, reception, now);
    });
    out.expected = static_cast<std::size_t>(run_.job.clients.count);
    out.server = service_.counters();
    return out;
  }

  RoundOutcome play_round(const Run& run) {
    timed_stage(run, "clients", [&] { collect(); });
    const auto [updates, pool] = service_.on_brain(
        [](Coordinator& c, Reception&, Instant) { return std::pair(c.updates(), c.pool()); });
    check_hashes(updates);  // here, so that others are answered meanwhile
    RoundOutcome outcome =
        finish_round(run, material_, records_of(run, updates), teachers_of(updates, pool));
    remember_round(run, round_summary(run, outcome));
    return outcome;
  }

  // Nobody is waited for: the clients fetch it with the next plan.
  void publish(const std::vector<std::byte>& bundle, const std::vector<std::byte>& lesson) {
    const BlobInfo student = lesson.empty() ? BlobInfo{} : store_.blobs().add(lesson);
    const BlobInfo result = store_.blobs().add(bundle);
    service_.on_brain([&](Coordinator&, Reception& reception, Instant now) {
      reception.publish(result, student, now);
    });
  }

  void collect() {
    run_.progress.begin_stage("collecting updates", {});
    std::size_t told = 0;
    bool told_failure = false;
    for (Round::State state = Round::State::kCollecting; state != Round::State::kClosed;) {
      if (run_.stop.load()) throw Stopped("[coordinator] stopped while clients were training");
      std::size_t uploads = 0;
      std::string failure;
      state = service_.on_brain([&](Coordinator& c, Reception&, Instant) {
        uploads = c.round().uploads().size();
        failure = c.round().failure();
        return c.round().state();
      });
      if (uploads != std::exchange(told, uploads)) {
        record_.tell(std::to_string(uploads) + " of " + counted(run_.job.clients.count, "update") +
                     " here");
      }
      const bool failed = state == Round::State::kFailed;
      if (failed && !waits_on_failure_) throw RoundFailed(failure);
      if (failed && !told_failure) record_.note(failure + "; `fedstill reopen` lets it go on");
      told_failure = failed;
      if (state != Round::State::kClosed) std::this_thread::sleep_for(kLookEvery);
    }
    run_.progress.end_stage("the round is closed");
  }

  std::vector<ClientRecord> records_of(const Run& run, const std::vector<AcceptedUpdate>& updates) {
    return service_.on_brain([&](Coordinator& c, Reception&, Instant) {
      std::vector<ClientRecord> out;
      for (const AcceptedUpdate& update : updates) {
        ClientRecord record;
        record.name = update.client;
        record.architecture =
            run.lesson ? run.job.distillation.student : c.joins().at(update.client).architecture;
        record.samples = update.sample_count;
        record.sha256 = update.sha256;
        out.push_back(std::move(record));
      }
      return out;
    });
  }

  void deliver(const std::vector<std::byte>& bytes) {
    const bool is_published =
        service_.on_brain([](Coordinator& c, Reception&, Instant) { return c.finished(); });
    if (!is_published) publish(bytes, {});
    await_delivery(service_, run_);
  }

  const Run& run_;
  const Material& material_;
  ServiceRecord record_;
  const bool waits_on_failure_;
  const std::optional<Membership> upstream_;
  Store store_;
  BlobInfo pool_;
  Coordinator coordinator_;
  std::string stopped_by_;  // by which administrator; on the brain
  Service service_;
  std::optional<Monitor> monitor_;  // last: it asks the service
};

json serve(const CoordinatorCommand& command, Progress& progress, std::atomic<bool>& stop,
           ServiceLog& log) {
  require_file_if_given(command.revoked);  // all this before there is a folder
  require_file_if_given(command.allowed);
  check_role(command.identity, "coordinator");
  if (!command.upstream.empty()) check_role(command.upstream_identity, "client");
  Job job;
  const RunFolder folder = open_state(command, job);
  const Material material = material_of_run(job, folder);
  EventLog events(folder.path());
  Run run{job, folder, events, progress, stop};
  run.device = open_device(job.run.device);
  Federated federated(command, run, material, log);
  try {
    json report = federated.run_rounds();
    federated.leave("the job is done");
    log.write(LogLevel::kInfo, "the job is done");
    return report;
  } catch (const Stopped&) {
  } catch (const std::system_error& error) {
    if (!stop.load()) throw;
    log.write(LogLevel::kWarning, error.what());  // it was to end anyway
  }
  federated.leave("the coordinator stops; it will be back");
  if (const std::string& admin = federated.stopped_by(); !admin.empty()) {
    log.write(LogLevel::kInfo, "stopped by " + admin);
    return json{{"stopped_by", admin}, {"state", folder.path().string()}};
  }
  throw Stopped("interrupted; go on with the same --state " + folder.path().string());
}

}  // namespace

json serve(const CoordinatorCommand& command, Progress& progress, std::atomic<bool>& stop) {
  return with_log(command.log, command.log_level,
                  [&](ServiceLog& log) { return serve(command, progress, stop, log); });
}

}  // namespace fedstill
