#include "training/losses.h"

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>

namespace fedstill {

Loss cross_entropy() {
  return [](std::span<const at::Tensor> outputs, const at::Tensor& targets) {
    return at::cross_entropy_loss(outputs[0], targets);
  };
}

Loss binary_cross_entropy() {
  return [](std::span<const at::Tensor> outputs, const at::Tensor& targets) {
    return at::binary_cross_entropy_with_logits(outputs[0].reshape({-1}),
                                                targets.reshape({-1}).to(at::kFloat));
  };
}

}  // namespace fedstill
