#include "launch/sites/site_client.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "client/participant.h"
#include "client/predictions.h"
#include "compression/edge/bundle.h"
#include "data/data_error.h"
#include "data/idx_writer.h"
#include "data/lesson.h"
#include "data/readers.h"
#include "launch/input.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/machine.h"
#include "launch/outside_text.h"
#include "launch/sites/audit.h"
#include "launch/sites/identity_folder.h"
#include "launch/sites/membership.h"
#include "launch/sites/own_model.h"
#include "launch/sites/service_log.h"
#include "launch/sites/state_claim.h"
#include "launch/sites/task_ahead.h"
#include "launch/stages/client_plan.h"
#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "training/device.h"
#include "training/fit.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxClasses = 65'536;

std::vector<std::int64_t> all_of(std::int64_t count) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::int64_t>(i);
  return out;
}

// What the coordinator says to an update that it does not refuse for good.
std::string answer_text(const Acknowledgement& answer) {
  if (answer.accepted && answer.sha256.empty()) return printable(answer.reason);  // to a Join
  if (answer.accepted) {
    return "the coordinator has the update of round " + std::to_string(answer.round) +
           "; waiting for the bundle";
  }
  if (answer.refusal == Refusal::kTryLater) return printable(answer.reason) + "; trying again";
  return "too late: " + printable(answer.reason) + "; waiting for the bundle";
}

// What the site trains, and with what.
class Site {
 public:
  Site(const ClientCommand& command, const std::string& name, OwnModel model, at::Device device,
       Progress& progress)
      : command_(command),
        name_(name),
        model_(std::move(model)),
        mode_(command.mode == "model" ? Participation::kModel : Participation::kPredictions),
        progress_(progress),
        device_(device),
        own_(read_labelled(command.data)),
        store_(command.state, kSiteLimits) {}

  ClientIdentity identity() const {
    return {name_, model_.architecture, own_.images->count(), mode_};
  }
  ClientStore& store() { return store_; }

  std::filesystem::path make_update(const RoundPlan& plan, WorkProgress& work,
                                    const std::atomic<bool>& stop) {
    Job job = make_preset("quick");
    apply_toml(job, plan.settings, "the coordinator's settings");
    check_plan(job, plan);
    set_thread_count(threads());
    // Of another plan they would be refused.
    plan_ = plan.job.substr(0, 16) + "-" + std::to_string(plan.round);
    remove_checkpoints(plan_);
    Images pool = read_pool(plan);
    const ClientRound round = round_of(plan, pool);
    const ClientTask task = task_of(job, plan, round, std::move(pool));
    const std::int64_t samples = own_.images->count();
    const ClientWorkload load = workload_of(job, round, samples);
    progress_.begin_stage("training, round " + std::to_string(plan.round),
                          {{name_, round.architecture, load.images()}});
    const ClientResult result =
        run_client(task, fit_options("body", 0, load.body_images, work, stop),
                   fit_options("head", load.body_images, load.head_images, work, stop));
    if (const std::string& refusal = result.refusal(); !refusal.empty()) {
      progress_.message("steps were not recorded: " + refusal);
    }
    if (mode_ == Participation::kModel) {
      write_model(update_file(), result.update.graph);
    } else {
      write_predictions(result.update.graph, task.pool, task.normalisation, plan.pool_hash,
                        update_file());
    }
    progress_.end_stage("trained on " + grouped(samples) + " images");
    return update_file();
  }

  // The update is in the store: what made it is not needed any more.
  void tidy() const {
    std::error_code ignored;
    std::filesystem::remove(update_file(), ignored);
    remove_checkpoints("");
  }

  // A bundle replaces the last one only if it can be read.
  std::filesystem::path keep_bundle(const std::filesystem::path& file) const {
    const std::vector<std::byte> bytes = read_file(file, kMaxSiteBlobBytes);
    decode_bundle(bytes);
    auto path = command_.state / "bundle.fsb";
    write_file_atomically(path, bytes);
    return path;
  }

 private:
  std::filesystem::path update_file() const { return command_.state / "update"; }
  int threads() const {
    return command_.threads > 0 ? static_cast<int>(command_.threads) : usable_cores();
  }

  ClientTask task_of(const Job& job, const RoundPlan& plan, const ClientRound& round,
                     Images pool) const {
    const auto images = std::make_shared<const Images>(std::move(pool));
    const ImageView pool_view{images, all_of(images->count())};
    const Shard shard{{own_.images, all_of(own_.images->count())}, own_.labels};
    ClientTask task = client_task(job, round, shard, pool_view, plan.classes,
                                  measure_normalisation(pool_view), client_stream(name_));
    if (!round.lesson) task.local.start = model_.start;
    place_on(device_, task);
    return task;
  }

  // What the last round left, if the plan names it; else this is the site's own model's round.
  ClientRound round_of(const RoundPlan& plan, const Images& pool) const {
    if (plan.student.empty()) return {plan.round, model_.architecture};
    ModelFileLimits limits;
    limits.max_file_bytes = kMaxSiteBlobBytes;
    auto lesson = std::make_shared<const Lesson>(
        read_lesson(store_.blobs().path(plan.student),
                    {own_.images->shape, pool.count(), plan.classes}, limits));
    return {plan.round, lesson->student.architecture, std::move(lesson)};
  }

  Images read_pool(const RoundPlan& plan) const {
    const auto bytes = read_file(store_.blobs().path(plan.pool_hash), kMaxSiteBlobBytes);
    Images pool =
        decode_idx_images({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                          "the coordinator's pool");
    if (pool.shape == own_.images->shape) return pool;
    throw DataError("[client] " + command_.data + ": found images of " +
                    to_text(own_.images->shape) + ", expected " + to_text(pool.shape) +
                    ", as in the coordinator's pool");
  }

  static void check_plan(const Job& job, const RoundPlan& plan) {
    if (job.head.batch % 2 != 0 || plan.classes > kMaxClasses) {
      throw DecodeError("[client] the coordinator's plan: head.batch " +
                        std::to_string(job.head.batch) + ", " + std::to_string(plan.classes) +
                        " classes; expected an even number, at most " +
                        std::to_string(kMaxClasses));
    }
  }

  std::filesystem::path checkpoint(const std::string& part) const {
    return command_.state / (part + "-" + plan_ + ".checkpoint");
  }
  void remove_checkpoints(const std::string& but_of_plan) const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(command_.state, ignored)) {
      const std::string name = entry.path().filename().string();
      if (!name.ends_with(".checkpoint")) continue;
      if (!but_of_plan.empty() && name.ends_with("-" + but_of_plan + ".checkpoint")) continue;
      std::filesystem::remove(entry.path(), ignored);
    }
  }

  FitOptions fit_options(const std::string& part, std::int64_t before, std::int64_t images,
                         WorkProgress& work, const std::atomic<bool>& stop) {
    FitOptions options;
    options.checkpoint = checkpoint(part);
    options.stop = &stop;
    options.on_event = [this, part, before, images, &work](const FitEvent& e) {
      work.report({part, static_cast<std::uint64_t>(e.step), static_cast<std::uint64_t>(e.steps)});
      const double share = static_cast<double>(e.step) / static_cast<double>(e.steps);
      progress_.advance(0, before + static_cast<std::int64_t>(share * static_cast<double>(images)));
    };
    return options;
  }

  const ClientCommand& command_;
  std::string name_;
  OwnModel model_;
  Participation mode_;
  Progress& progress_;
  at::Device device_;
  Dataset own_;
  ClientStore store_;
  std::string plan_;  // that is being worked on
};

json run_site(const ClientCommand& command, Progress& progress, std::atomic<bool>& stop,
              ServiceLog& log) {
  require_file_if_given(command.revoked);
  const OwnModel model = own_model(command.model);  // a coordinator would remember a wrong one
  const CertificateSummary identity = check_role(command.identity, "client");
  log.write(LogLevel::kInfo, identity.name + " takes part at " + command.coordinator);
  const at::Device device = open_device(command.device);  // before anybody is asked to wait
  Site site(command, identity.name, model, device, progress);
  claim_state(command.state, site.store(),
              {identity.name, model.content, command.mode, site.identity().sample_count});
  ClientSession session(site.identity(), site.store());
  json result{{"status", "success"},
              {"client", identity.name},
              {"samples", site.identity().sample_count},
              {"mode", command.mode}};
  SiteWork work;
  work.make_update = [&](const RoundPlan& plan, WorkProgress& report,
                         const std::atomic<bool>& unwanted) {
    return site.make_update(plan, report, unwanted);
  };
  work.on_state = [&](ClientSession::State state) {
    if (state == ClientSession::State::kUploading) site.tidy();
  };
  work.on_bundle = [&](const Delivery&, const std::filesystem::path& file) {
    site.keep_bundle(file);
  };
  const auto tell = [&](const std::string& what, bool is_trouble) {
    progress.message(what);
    log.write(is_trouble ? LogLevel::kWarning : LogLevel::kInfo, what);
  };
  std::string last_said;
  work.on_frame = [&](const Frame& frame, bool received) {
    log.write(LogLevel::kDebug, frame_text("the coordinator", frame, received));
    if (const auto* leave = std::get_if<Leave>(&frame.message); received && leave != nullptr) {
      tell("the coordinator takes its leave: " + printable(leave->reason), true);
    }
    const auto* answer = std::get_if<Acknowledgement>(&frame.message);
    const bool is_final =
        answer != nullptr && !answer->accepted && answer->refusal == Refusal::kFinal;
    if (!received || answer == nullptr || is_final) return;
    const std::string said = answer_text(*answer);
    if (std::exchange(last_said, said) != said) tell(said, !answer->accepted);
  };
  const Membership membership{command.coordinator, command.identity, command.state,
                              command.revoked,     command.proxy,    command.bytes_per_second};
  const Delivery last = take_part_as(membership, session, std::move(work), tell, stop);
  result["bundle"] = site.keep_bundle(site.store().blobs().path(last.bundle.sha256)).string();
  result["sha256"] = last.bundle.sha256;
  log.write(LogLevel::kInfo, "done: bundle " + last.bundle.sha256);
  return result;
}

}  // namespace

json run_site(const ClientCommand& command, Progress& progress, std::atomic<bool>& stop) {
  return with_log(command.log, command.log_level,
                  [&](ServiceLog& log) { return run_site(command, progress, stop, log); });
}

}  // namespace fedstill
