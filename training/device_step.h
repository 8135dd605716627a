#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "training/fit.h"
#include "training/recorded_step.h"

namespace fedstill {

// The step of a fit by one rank on a device that runs behind the host: forward, loss, backward,
// clip, update, without looking at a value in between, so that the host is never waited for and the
// whole can be recorded. What it is made of must outlive it.
class DeviceStep {
 public:
  // The optimizer must be recordable. make: of the graph; without it every step is made as it is.
  DeviceStep(Executor& executor, std::span<const int> wanted, const Loss& loss,
             Optimizer& optimizer, double clip_norm, RecordedStep::MakeGraph make);
  DeviceStep(const DeviceStep&) = delete;
  DeviceStep& operator=(const DeviceStep&) = delete;

  void run(const Batch& batch, double learning_rate_factor, std::uint64_t dropout_key);
  // Of the losses of all steps since the last call; waits for them. Not finite if one of them was
  // not.
  double take_loss_sum();
  const RecordedStep& recorded() const { return step_; }

 private:
  void compute(const Batch& batch);

  Executor& executor_;
  std::vector<int> wanted_;
  const Loss& loss_;
  Optimizer& optimizer_;
  double clip_norm_;
  std::uint64_t dropout_key_ = 0;
  at::Tensor sum_;  // [] float64, on the device
  RecordedStep step_;
};

}  // namespace fedstill
