#include "training/recorded_step.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <exception>

namespace fedstill {

void RecordedStep::run(const Batch& batch) {
  if (!graph_ && make_ && steps_ >= kWarmUp) record(batch);
  ++steps_;
  if (!graph_ || !fits(batch)) return step_(batch);
  fixed_.images.copy_(batch.images, /*non_blocking=*/true);
  fixed_.targets.copy_(batch.targets, /*non_blocking=*/true);
  graph_->replay();
}

bool RecordedStep::fits(const Batch& batch) const {
  return batch.images.sizes() == fixed_.images.sizes() &&
         batch.targets.sizes() == fixed_.targets.sizes();
}

void RecordedStep::record(const Batch& batch) {
  fixed_ = {at::empty_like(batch.images), at::empty_like(batch.targets), batch.share};
  fixed_.images.copy_(batch.images, /*non_blocking=*/true);
  fixed_.targets.copy_(batch.targets, /*non_blocking=*/true);
  try {
    std::unique_ptr<DeviceGraph> graph = make_();
    graph->record([this] { step_(fixed_); });
    graph_ = std::move(graph);
  } catch (const std::exception& error) {
    refusal_ = error.what();
    refusal_.resize(std::min(refusal_.find('\n'), refusal_.size()));
    make_ = nullptr;
  }
}

}  // namespace fedstill
