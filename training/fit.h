#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "training/batch_source.h"
#include "training/data_parallel.h"
#include "training/executor.h"
#include "training/optimizer.h"

namespace fedstill {

// outputs: the wanted nodes in order. Returns a scalar.
using Loss =
    std::function<at::Tensor(std::span<const at::Tensor> outputs, const at::Tensor& targets)>;

struct FitEvent {
  std::int64_t epoch = 0, epochs = 0;
  std::int64_t step = 0, steps = 0;  // over the whole fit
  std::int64_t images = 0;           // seen so far
  double loss = 0.0;  // mean of the epoch so far, over all ranks; of a device: when last looked at
  bool end_of_epoch = false;
  double seconds = 0.0;  // so far; of what a checkpoint brought, on rank 0, too
};

struct FitOptions {
  std::int64_t epochs = 10;
  std::int64_t accumulate = 1;     // so many batches make a step, by the mean of their gradients
  std::int64_t minimum_steps = 0;  // epochs are added until at least this many steps are made
  OptimizerOptions optimizer{};
  ScheduleOptions schedule{};
  double clip_norm = 0.0;  // 0: off
  std::uint64_t seed = 0;  // dropout
  // Several ranks, each with its own executor and source (BatchOptions::part), fit one model. Rank
  // 0 keeps the checkpoint and its values are what all begin with; BatchNorm's running statistics
  // are averaged after every epoch. All stop when one is asked to.
  DataParallel parallel{};
  // On a device, by one rank, one batch a step and without dropout: the step is recorded and
  // replayed.
  bool record = true;
  // Empty: none. Written atomically after a step, as often as checkpoint_share allows, when asked
  // to stop and at the end; read at the start if it exists. The data and the loss are the caller's
  // to keep the same; what the fit knows of itself is checked.
  std::filesystem::path checkpoint{};
  double checkpoint_share =
      0.01;  // of the fit's time; infinity: after every step, 0: never between
  // When true: finish the step, write the checkpoint and throw Stopped.
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const FitEvent&)> on_event{};  // from the fitting thread, after every step
};

// The fit was asked to stop; what a checkpoint holds goes on later.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The loss became NaN or infinite. The message says the step, the loss and the learning rate.
class DivergedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct FitReport {
  std::int64_t steps = 0;            // of this call
  std::int64_t images = 0;           // of the whole fit and all ranks
  double seconds = 0.0;              // of the whole fit; resumed parts on rank 0
  std::vector<double> epoch_losses;  // of the whole fit; resumed parts on rank 0
  bool replayed = false;             // the step was recorded
  std::string refusal;               // why it was not, where it should have been
};

// The one training loop: batches → run the wanted nodes in kTrain → loss → backward → clip → step.
// With the same seed, executor and thread count the result is the same bits, interrupted at any
// step or not; that is not promised of another device than the cpu, nor are the bits of two devices
// the same. On such a device one rank looks at its losses only now and then, so a loss that is not
// finite is found a few steps late. Throws Stopped, DivergedError, CollectiveError, DecodeError for
// a damaged checkpoint and std::invalid_argument for the checkpoint of another fit, naming what
// differs.
FitReport fit(Executor& executor, std::span<const int> wanted, BatchSource& source,
              const Loss& loss, const FitOptions& options);

}  // namespace fedstill
