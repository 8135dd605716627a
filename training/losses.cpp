#include "training/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/xlogy.h>

namespace fedstill {

// Σ q log q does not depend on the logits, but makes it zero where nothing is left to learn.
at::Tensor divergence(const at::Tensor& logits, const at::Tensor& targets, double temperature) {
  const at::Tensor log_p = at::log_softmax(logits / temperature, 1);
  const at::Tensor terms = at::xlogy(targets, targets) - targets * log_p;
  return terms.sum(1);
}

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
