#include "training/fit.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <optional>

#include "model/random.h"
#include "training/device.h"
#include "training/device_step.h"
#include "training/divergence.h"
#include "training/fit_file.h"
#include "training/fit_identity.h"
#include "training/rank_statistics.h"

namespace fedstill {
namespace {

// A device works behind the host; each look at a loss waits for it.
constexpr std::int64_t kStepsPerLook = 32;

std::int64_t steps_of(const BatchSource& source, const FitOptions& options) {
  const std::int64_t batches = source.steps_per_epoch(), of_step = options.accumulate;
  if (of_step >= 1 && of_step <= batches) return batches / of_step;
  throw std::invalid_argument("[fit] " + std::to_string(of_step) +
                              " batches make a step, but an epoch has " + std::to_string(batches));
}

// One fit under way.
class Fitting {
 public:
  Fitting(Executor& executor, std::span<const int> wanted, BatchSource& source, const Loss& loss,
          const FitOptions& options)
      : executor_(executor),
        wanted_(wanted.begin(), wanted.end()),
        source_(source),
        loss_(loss),
        options_(options),
        optimizer_(make_optimizer(options.optimizer, executor.parameters(), is_on_device())),
        steps_per_epoch_(steps_of(source, options)),
        epochs_(std::max(options.epochs,
                         (options.minimum_steps + steps_per_epoch_ - 1) / steps_per_epoch_)) {
    if (!options.checkpoint.empty() && options.parallel.rank() == 0) {
      file_.emplace(options.checkpoint, options.checkpoint_share,
                    fit_identity(options, epochs_, steps_per_epoch_, executor));
    }
    if (options.parallel.exchanges()) {
      prepare_ranks();
    } else if (is_on_device() && options.accumulate == 1) {
      prepare_device();
    }
  }
  ~Fitting() { executor_.measure_over(nullptr); }
  Fitting(const Fitting&) = delete;
  Fitting& operator=(const Fitting&) = delete;

  FitReport run() {
    if (file_) file_->load(place_, state_tensors(), {total_steps(), steps_per_epoch_});
    seconds_before_ = place_.seconds;
    if (gradients_) begin_together();
    mean_ = place_.loss_sum / static_cast<double>(std::max<std::int64_t>(1, step_of_epoch()));
    while (place_.steps_done < total_steps()) make_step();
    require_finite(executor_.parameters(), taken(place_.steps_done));
    if (device_step_) {
      report_.replayed = device_step_->recorded().replays();
      report_.refusal = device_step_->recorded().refusal();
    }
    report_.epoch_losses = std::move(place_.epoch_losses);
    report_.images = place_.images;
    report_.seconds = seconds();
    return std::move(report_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t total_steps() const { return epochs_ * steps_per_epoch_; }
  std::int64_t epoch() const { return place_.steps_done / steps_per_epoch_; }
  std::int64_t step_of_epoch() const { return place_.steps_done % steps_per_epoch_; }
  double factor_of(std::int64_t step) const {
    return schedule_factor(options_.schedule, step, total_steps());
  }
  StepTaken taken(std::int64_t steps_done) const {
    const std::int64_t step = std::max<std::int64_t>(0, steps_done - 1);
    return {steps_done, total_steps(), options_.optimizer.learning_rate * factor_of(step)};
  }
  double seconds() const {
    return seconds_before_ + std::chrono::duration<double>(Clock::now() - began_).count();
  }
  bool is_on_device() const { return !executor_.device().is_cpu(); }

  void prepare_ranks() {
    const DataParallel& parallel = options_.parallel;
    gradients_.emplace(executor_.parameters(), parallel);
    if (parallel.shared_batch_norm) {
      executor_.measure_over(parallel.group, parallel.wire);
    } else if (parallel.ranks() > 1) {
      statistics_.emplace(executor_.parameters(), parallel);
    }
  }

  void prepare_device() {
    RecordedStep::MakeGraph make;
    if (options_.record && !executor_.draws()) {
      make = [device = executor_.device()] { return make_device_graph(device); };
    }
    device_step_.emplace(executor_, wanted_, loss_, *optimizer_, options_.clip_norm,
                         std::move(make));
    stream_.emplace(executor_.device());
  }

  void make_step() {
    if (!gradients_) leave_if(is_asked_to_stop());
    const std::int64_t step = place_.steps_done;
    if (device_step_) {
      run_behind_host();
    } else {
      place_.loss_sum += run_step();
    }
    ++report_.steps;
    ++place_.steps_done;
    const std::int64_t done = step % steps_per_epoch_ + 1;
    const bool last = done == steps_per_epoch_;
    if (!device_step_ || last || done % kStepsPerLook == 0) look(done);
    if (last) finish_epoch();
    // Saved before it is told, so that who is killed at what was told loses nothing.
    if (is_time_to_save()) save();
    if (options_.on_event) tell(last);
    leave_if(somebody_stops_);
  }

  // The mean loss of the epoch's steps so far; of a device, what it is waited for.
  void look(std::int64_t done) {
    if (device_step_) place_.loss_sum += device_step_->take_loss_sum();
    mean_ = place_.loss_sum / static_cast<double>(done);
    require_finite("loss", mean_, taken(place_.steps_done));
  }

  void run_behind_host() {
    const Batch batch = source_.batch(epoch(), step_of_epoch());
    device_step_->run(batch, factor_of(place_.steps_done), dropout_key(place_.steps_done));
    place_.images += batch.images.size(0);
  }

  double run_step() {
    const std::int64_t step = place_.steps_done;
    double value = 0.0;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
      const std::int64_t batch = step_of_epoch() * options_.accumulate + part;
      value = run_batch(source_.batch(epoch(), batch), step, part, value);
      // With several ranks all see it after the last, so that all throw.
      if (!gradients_ || part + 1 == options_.accumulate) {
        require_finite("loss", value, taken(step + 1));
      }
    }
    if (options_.clip_norm > 0.0) {
      const double norm = clip_gradients(executor_.parameters(), options_.clip_norm);
      require_finite("gradient norm", norm, taken(step + 1));
    }
    optimizer_->step(factor_of(step));
    optimizer_->zero_gradients();
    return value;
  }

  // Adds the gradients of one batch of a step, or of this rank's part of it. Returns the step's
  // loss so far: of all batches before and this one.
  double run_batch(const Batch& batch, std::int64_t step, std::int64_t part, double before) {
    const std::vector<at::Tensor> outputs = executor_.run(
        batch.images, wanted_, Mode::kTrain, dropout_key(step * options_.accumulate + part));
    const auto parts = static_cast<double>(options_.accumulate);
    const at::Tensor loss = loss_(outputs, to_device(batch.targets, executor_.device()));
    const double own = before + loss.item<float>() * (gradients_ ? batch.share : 1.0) / parts;
    place_.images += std::llround(static_cast<double>(batch.images.size(0)) / batch.share);
    if (gradients_) return backward_together(loss.mul(batch.share / parts), own, part);
    if (std::isfinite(own)) (parts > 1.0 ? loss.mul(1.0 / parts) : loss).backward();
    return own;
  }

  // Every rank's dropout is its own.
  std::uint64_t dropout_key(std::int64_t step) const {
    const std::uint64_t key = derive_key(options_.seed, step);
    return gradients_ ? derive_key(key, options_.parallel.rank()) : key;
  }

  // The step's last gradients become those of all ranks; returns the loss of all then. Who is asked
  // to stop, or keeps the checkpoint and would save, tells the others with it, so that all do so
  // after the same step.
  double backward_together(const at::Tensor& loss, double own, std::int64_t part) {
    if (part + 1 < options_.accumulate) {
      gradients_->add();
      loss.backward();
      return own;
    }
    const bool saves = file_ && file_->is_due();
    facts_ = {static_cast<float>(own), is_asked_to_stop() ? 1.0F : 0.0F, saves ? 1.0F : 0.0F};
    gradients_->begin(facts_);
    loss.backward();
    gradients_->finish();
    somebody_stops_ = facts_[1] > 0.0F;
    somebody_saves_ = facts_[2] > 0.0F;
    return static_cast<double>(facts_[0]);
  }

  // Rank 0 says where all are.
  void begin_together() {
    std::array where{place_.steps_done, place_.images,
                     std::bit_cast<std::int64_t>(place_.loss_sum)};
    std::vector<at::Tensor> state = state_tensors();
    state.push_back(at::from_blob(where.data(), {where.size()}, at::kLong));
    broadcast(state, options_.parallel);
    place_.steps_done = where[0];
    place_.images = where[1];
    place_.loss_sum = std::bit_cast<double>(where[2]);
    if (statistics_) statistics_->take();
  }

  void finish_epoch() {
    place_.epoch_losses.push_back(mean_);
    place_.loss_sum = 0.0;
    if (gradients_ && !options_.parallel.shared_batch_norm)
      average_statistics(executor_.parameters(), options_.parallel);
  }

  bool is_time_to_save() const {
    if (place_.steps_done == total_steps()) return true;
    return gradients_ ? somebody_saves_ : file_ && file_->is_due();
  }

  // By all ranks after the same step. What no fit could go on from is never written.
  void save() {
    if (!file_ && !gradients_) return;
    if (device_step_ && step_of_epoch() > 0) look(step_of_epoch());
    require_finite(executor_.parameters(), taken(place_.steps_done));
    if (statistics_) statistics_->gather();
    place_.seconds = seconds();
    if (file_) file_->save(place_, state_tensors());
  }

  void tell(bool end_of_epoch) const {
    options_.on_event({.epoch = (place_.steps_done - 1) / steps_per_epoch_,
                       .epochs = epochs_,
                       .step = place_.steps_done,
                       .steps = total_steps(),
                       .images = place_.images,
                       .loss = mean_,
                       .end_of_epoch = end_of_epoch,
                       .seconds = seconds()});
  }

  bool is_asked_to_stop() const { return options_.stop != nullptr && options_.stop->load(); }

  void leave_if(bool asked) {
    if (!asked) return;
    save();
    throw Stopped("[fit] stopped after step " + std::to_string(place_.steps_done) + " of " +
                  std::to_string(total_steps()));
  }

  std::vector<at::Tensor> state_tensors() const {
    std::vector<at::Tensor> tensors;
    for (const Executor::Parameter& parameter : executor_.parameters()) {
      tensors.push_back(parameter.value);
    }
    for (at::Tensor& tensor : optimizer_->state()) tensors.push_back(std::move(tensor));
    if (statistics_) tensors.push_back(statistics_->rows());
    return tensors;
  }

  Executor& executor_;
  std::vector<int> wanted_;
  BatchSource& source_;
  const Loss& loss_;
  const FitOptions& options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::int64_t steps_per_epoch_, epochs_;
  FitPlace place_;
  Clock::time_point began_ = Clock::now();
  double seconds_before_ = 0.0, mean_ = 0.0;  // of earlier parts; of the epoch, when last looked at
  std::optional<FitFile> file_;               // of the rank that keeps it
  std::optional<RankStatistics> statistics_;
  FitReport report_;
  std::array<float, 3> facts_{};  // outlives the reduction that gradients_ has under way
  std::optional<GradientBuckets> gradients_;  // of several ranks
  std::optional<DeviceStep> device_step_;     // of one rank on a device
  std::optional<DeviceStream> stream_;        // ends first, with all work of the others done
  bool somebody_stops_ = false, somebody_saves_ = false;
};

}  // namespace

FitReport fit(Executor& executor, std::span<const int> wanted, BatchSource& source,
              const Loss& loss, const FitOptions& options) {
  return Fitting(executor, wanted, source, loss, options).run();
}

}  // namespace fedstill
