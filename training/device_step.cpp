#include "training/device_step.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "training/device.h"

namespace fedstill {

DeviceStep::DeviceStep(Executor& executor, std::span<const int> wanted, const Loss& loss,
                       Optimizer& optimizer, double clip_norm, RecordedStep::MakeGraph make)
    : executor_(executor),
      wanted_(wanted.begin(), wanted.end()),
      loss_(loss),
      optimizer_(optimizer),
      clip_norm_(clip_norm),
      sum_(at::zeros({}, at::TensorOptions(at::kDouble).device(executor.device()))),
      step_([this](const Batch& batch) { compute(batch); }, std::move(make)) {}

void DeviceStep::run(const Batch& batch, double learning_rate_factor, std::uint64_t dropout_key) {
  dropout_key_ = dropout_key;
  optimizer_.set_rate(learning_rate_factor);
  step_.run({to_device(batch.images, executor_.device()),
             to_device(batch.targets, executor_.device()), batch.share});
}

double DeviceStep::take_loss_sum() {
  const double sum = sum_.item<double>();
  sum_.zero_();
  return sum;
}

// Gradients are dropped first: a recording that failed leaves some that were never computed.
void DeviceStep::compute(const Batch& batch) {
  optimizer_.zero_gradients();
  const std::vector<at::Tensor> outputs =
      executor_.run(batch.images, wanted_, Mode::kTrain, dropout_key_);
  const at::Tensor loss = loss_(outputs, batch.targets);
  sum_.add_(loss.detach());
  loss.backward();
  if (clip_norm_ > 0.0) clip_gradients_unseen(executor_.parameters(), clip_norm_);
  optimizer_.update();
  optimizer_.zero_gradients();
}

}  // namespace fedstill
