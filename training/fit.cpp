#include "training/fit.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>

#include "model/atomic_file.h"
#include "model/random.h"
#include "training/checkpoint.h"
#include "training/device.h"
#include "training/device_step.h"
#include "training/fit_identity.h"
#include "training/fit_state.h"

namespace fedstill {

namespace {

constexpr std::size_t kMaxCheckpointBytes = std::size_t{1} << 34U;
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
    const auto start = std::chrono::steady_clock::now();
    if (!options_.checkpoint.empty() && options_.parallel.rank() == 0) resume();
    if (gradients_) begin_together();
    for (; epoch_ < epochs_; ++epoch_) run_epoch();
    check_parameters();
    if (device_step_) {
      report_.replayed = device_step_->recorded().replays();
      report_.refusal = device_step_->recorded().refusal();
    }
    report_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(report_);
  }

 private:
  std::int64_t total_steps() const { return epochs_ * steps_per_epoch_; }
  bool is_on_device() const { return !executor_.device().is_cpu(); }

  void prepare_ranks() {
    const DataParallel& parallel = options_.parallel;
    gradients_.emplace(executor_.parameters(), parallel);
    if (parallel.shared_batch_norm) executor_.measure_over(parallel.group, parallel.wire);
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

  void run_epoch() {
    double sum = 0.0, mean = 0.0;
    for (std::int64_t step = 0; step < steps_per_epoch_; ++step) {
      if (!gradients_) stop_if(is_asked_to_stop());
      if (device_step_) {
        mean = run_behind_host(step, mean);
      } else {
        sum += run_step(step);
        mean = sum / static_cast<double>(step + 1);
      }
      // Saved before it is told, so that who stops at an epoch's end loses nothing.
      if (step + 1 == steps_per_epoch_) finish_epoch(mean);
      if (options_.on_event) tell(step, mean);
      stop_if(somebody_stops_);
    }
  }

  // Returns the mean loss of the epoch's steps when it was last looked at.
  double run_behind_host(std::int64_t step_of_epoch, double mean) {
    const std::int64_t step = epoch_ * steps_per_epoch_ + step_of_epoch, done = step_of_epoch + 1;
    const double factor = schedule_factor(options_.schedule, step, total_steps());
    const Batch batch = source_.batch(epoch_, step_of_epoch);
    device_step_->run(batch, factor, dropout_key(step));
    report_.images += batch.images.size(0);
    ++report_.steps;
    const bool last = done == steps_per_epoch_;
    if (!last && done % kStepsPerLook != 0) return mean;
    mean = device_step_->loss_sum(/*reset=*/last) / static_cast<double>(done);
    require_finite("loss", mean, step, factor);
    return mean;
  }

  double run_step(std::int64_t step_of_epoch) {
    const std::int64_t step = epoch_ * steps_per_epoch_ + step_of_epoch;
    const double factor = schedule_factor(options_.schedule, step, total_steps());
    double value = 0.0;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
      const std::int64_t batch = step_of_epoch * options_.accumulate + part;
      value = run_batch(source_.batch(epoch_, batch), step, part, value);
      // With several ranks all see it after the last, so that all throw.
      if (!gradients_ || part + 1 == options_.accumulate) {
        require_finite("loss", value, step, factor);
      }
    }
    if (options_.clip_norm > 0.0) {
      const double norm = clip_gradients(executor_.parameters(), options_.clip_norm);
      require_finite("gradient norm", norm, step, factor);
    }
    optimizer_->step(factor);
    optimizer_->zero_gradients();
    ++report_.steps;
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
    report_.images += std::llround(static_cast<double>(batch.images.size(0)) / batch.share);
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
  // to stop tells the others with it, so that all leave after the same step.
  double backward_together(const at::Tensor& loss, double own, std::int64_t part) {
    if (part + 1 < options_.accumulate) {
      gradients_->add();
      loss.backward();
      return own;
    }
    facts_ = {static_cast<float>(own), is_asked_to_stop() ? 1.0F : 0.0F};
    gradients_->begin(facts_);
    loss.backward();
    gradients_->finish();
    somebody_stops_ = facts_[1] > 0.0F;
    return static_cast<double>(facts_[0]);
  }

  void begin_together() {
    std::array<std::int64_t, 2> where{epoch_, images_before_};
    std::vector<at::Tensor> state = state_tensors();
    state.push_back(at::from_blob(where.data(), {2}, at::kLong));
    broadcast(state, options_.parallel);
    epoch_ = where[0];
    images_before_ = where[1];
  }

  void finish_epoch(double mean) {
    report_.epoch_losses.push_back(mean);
    if (gradients_ && !options_.parallel.shared_batch_norm)
      average_statistics(executor_.parameters(), options_.parallel);
    const std::int64_t done = epoch_ + 1,
                       every = std::max<std::int64_t>(1, options_.checkpoint_every);
    if (options_.checkpoint.empty() || options_.parallel.rank() != 0) return;
    if (done != epochs_ && done % every != 0) return;
    write_file_atomically(options_.checkpoint, encode_checkpoint(current_state()));
  }

  void tell(std::int64_t step, double mean) const {
    options_.on_event({.epoch = epoch_,
                       .epochs = epochs_,
                       .step = epoch_ * steps_per_epoch_ + step + 1,
                       .steps = total_steps(),
                       .images = images_before_ + report_.images,
                       .loss = mean,
                       .end_of_epoch = step + 1 == steps_per_epoch_});
  }

  bool is_asked_to_stop() const { return options_.stop != nullptr && options_.stop->load(); }

  void stop_if(bool asked) const {
    if (!asked) return;
    throw Stopped("[fit] stopped in epoch " + std::to_string(epoch_ + 1) + " of " +
                  std::to_string(epochs_));
  }

  void require_finite(const char* what, double value, std::int64_t step, double factor) const {
    if (std::isfinite(value)) return;
    throw DivergedError(std::string("[fit] the ") + what + " became " + to_text(value) +
                        " at step " + std::to_string(step + 1) + " of " +
                        std::to_string(total_steps()) + " with learning rate " +
                        to_text(options_.optimizer.learning_rate * factor));
  }

  // The loss of the last update is never computed, so its result is looked at instead.
  void check_parameters() const {
    for (const Executor::Parameter& parameter : executor_.parameters()) {
      if (parameter.value.detach().isfinite().all().item<bool>()) continue;
      throw DivergedError("[fit] parameter " + parameter.name + " is not finite after step " +
                          std::to_string(total_steps()) + " with learning rate " +
                          to_text(options_.optimizer.learning_rate));
    }
  }

  std::vector<at::Tensor> state_tensors() const {
    std::vector<at::Tensor> tensors;
    for (const Executor::Parameter& parameter : executor_.parameters()) {
      tensors.push_back(parameter.value);
    }
    for (at::Tensor& tensor : optimizer_->state()) tensors.push_back(std::move(tensor));
    return tensors;
  }

  Checkpoint current_state() const {
    Checkpoint state{
        identity_, epoch_ + 1, images_before_ + report_.images, report_.epoch_losses, {}};
    for (const at::Tensor& tensor : state_tensors()) state.tensors.push_back(to_rows(tensor));
    return state;
  }

  void resume() {
    identity_ = fit_identity(options_, epochs_, steps_per_epoch_, executor_);
    if (!std::filesystem::exists(options_.checkpoint)) return;
    const Checkpoint state = decode_checkpoint(read_file(options_.checkpoint, kMaxCheckpointBytes));
    check_identity(state, identity_, options_.checkpoint);
    restore(state, state_tensors(), epochs_, options_.checkpoint);
    epoch_ = state.epochs_done;
    images_before_ = state.images;
    report_.epoch_losses = state.epoch_losses;
  }

  Executor& executor_;
  std::vector<int> wanted_;
  BatchSource& source_;
  const Loss& loss_;
  const FitOptions& options_;
  std::unique_ptr<Optimizer> optimizer_;
  std::int64_t steps_per_epoch_, epochs_, epoch_ = 0, images_before_ = 0;
  std::vector<Checkpoint::Fact> identity_;
  FitReport report_;
  std::array<float, 2> facts_{};  // outlives the reduction that gradients_ has under way
  std::optional<GradientBuckets> gradients_;  // of several ranks
  std::optional<DeviceStep> device_step_;     // of one rank on a device
  std::optional<DeviceStream> stream_;        // ends first, with all work of the others done
  bool somebody_stops_ = false;
};

}  // namespace

FitReport fit(Executor& executor, std::span<const int> wanted, BatchSource& source,
              const Loss& loss, const FitOptions& options) {
  return Fitting(executor, wanted, source, loss, options).run();
}

}  // namespace fedstill
