#include "training/chain/linear_layer.h"

#include <algorithm>

namespace fedstill::chain {

LinearLayer::LinearLayer(const LinearStage& stage, const Kernels& kernels, std::int64_t batch)
    : stage_(stage),
      kernels_(kernels),
      scaled_(static_cast<std::size_t>(batch * padded(stage.out))) {}

void LinearLayer::forward(std::int64_t rows, const float* x, const float* weights,
                          const float* bias, float* y) {
  const std::int64_t stride = out_stride(), in = padded(stage_.in());
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(bias, stride, y + r * stride);
  // Read only here; the same description serves backward, which writes.
  const LinearPart part{rows, in, stage_.out, x, in, const_cast<float*>(weights)};
  kernels_.linear(part, y, stride);
  if (!stage_.rectify) return;
  for (std::int64_t i = 0; i < rows * stride; ++i) y[i] = y[i] > 0.0F ? y[i] : 0.0F;
}

void LinearLayer::backward(std::int64_t rows, const float* x, const float* y, float* d, float* dx,
                           float* weights, float* bias, float rate) {
  const std::int64_t stride = out_stride(), in = padded(stage_.in());
  for (std::int64_t i = 0; i < rows * stride; ++i) {
    if (stage_.rectify && !(y[i] > 0.0F)) d[i] = 0.0F;
    scaled_[static_cast<std::size_t>(i)] = -rate * d[i];
  }
  if (dx != nullptr) std::fill_n(dx, rows * in, 0.0F);
  const LinearPart part{rows, in, stage_.out, x, in, weights};
  kernels_.linear_back(part, d, scaled_.data(), stride, dx);
  if (stage_.bias.empty()) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    kernels_.add(1.0F, scaled_.data() + r * stride, bias, stage_.out);
  }
}

}  // namespace fedstill::chain
