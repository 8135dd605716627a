#include "training/chain/linear_layer.h"

#include <algorithm>

namespace fedstill::chain {

LinearLayer::LinearLayer(const LinearStage& stage, const Kernels& kernels, std::int64_t batch,
                         bool bf16)
    : stage_(stage), kernels_(kernels), bf16_(bf16), scaled_(size_of(batch * out_stride())) {
  if (!bf16) return;
  const std::int64_t even = batch + batch % 2;
  rounded_.resize(size_of(batch * rounded_stride()));
  paired_.resize(size_of(even * in_stride()));
  rounded_d_.resize(size_of(batch * out_stride() + kPanel));
  paired_scaled_.resize(size_of(even * out_stride()));
}

void LinearLayer::forward(std::int64_t rows, const float* x, const float* weights,
                          const float* bias, float* y) {
  const std::int64_t stride = out_stride();
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(bias, stride, y + r * stride);
  multiply(rows, x, weights, y);
  if (!stage_.rectify) return;
  for (std::int64_t i = 0; i < rows * stride; ++i) y[i] = y[i] > 0.0F ? y[i] : 0.0F;
}

void LinearLayer::multiply(std::int64_t rows, const float* x, const float* weights, float* y) {
  const std::int64_t in = in_stride();
  // Read only here; the same description serves backward, which writes.
  float* const w = const_cast<float*>(weights);
  if (!bf16_) {
    kernels_.linear({rows, in, stage_.out, x, in, w}, y, out_stride());
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    kernels_.bf16.round(x + r * in, in, rounded_.data() + r * rounded_stride());
  }
  kernels_.bf16.linear({rows, in, stage_.out, rounded_.data(), rounded_stride(), w}, y,
                       out_stride());
}

void LinearLayer::backward(std::int64_t rows, const float* x, const float* y, float* d, float* dx,
                           float* weights, float* bias, float rate) {
  const std::int64_t stride = out_stride();
  for (std::int64_t i = 0; i < rows * stride; ++i) {
    if (stage_.rectify && !(y[i] > 0.0F)) d[i] = 0.0F;
    scaled_[size_of(i)] = -rate * d[i];
  }
  if (dx != nullptr) std::fill_n(dx, rows * in_stride(), 0.0F);
  multiply_back(rows, x, d, dx, weights);
  if (stage_.bias.empty()) return;
  for (std::int64_t r = 0; r < rows; ++r) {
    kernels_.add(1.0F, scaled_.data() + r * stride, bias, stage_.out);
  }
}

void LinearLayer::multiply_back(std::int64_t rows, const float* x, const float* d, float* dx,
                                float* weights) {
  const std::int64_t in = in_stride(), stride = out_stride();
  if (!bf16_) {
    kernels_.linear_back({rows, in, stage_.out, x, in, weights}, d, scaled_.data(), stride, dx);
    return;
  }
  pair_rows(rows, in, x, paired_.data());
  pair_rows(rows, stride, scaled_.data(), paired_scaled_.data());
  kernels_.bf16.round(d, rows * stride, rounded_d_.data());
  kernels_.bf16.linear_back({rows, in, stage_.out, paired_.data(), in, weights}, rounded_d_.data(),
                            paired_scaled_.data(), stride, dx);
}

void LinearLayer::pair_rows(std::int64_t rows, std::int64_t stride, const float* from,
                            Bf16* to) const {
  for (std::int64_t r = 0; r < rows; r += 2) {
    const float* const first = from + r * stride;
    kernels_.bf16.pair(first, r + 1 < rows ? first + stride : nullptr, stride, to + r * stride);
  }
}

}  // namespace fedstill::chain
