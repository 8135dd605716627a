#pragma once

#include <cstdint>

#include "training/chain/aligned.h"
#include "training/chain/chain_plan.h"
#include "training/chain/kernels.h"

namespace fedstill::chain {

// One Linear of a chain. Rows of features are padded(features) floats apart, zeros behind them.
class LinearLayer {
 public:
  // bf16: the factors of all products are rounded to bfloat16.
  LinearLayer(const LinearStage& stage, const Kernels& kernels, std::int64_t batch, bool bf16);

  std::int64_t out_stride() const { return padded(stage_.out); }
  // y [rows, out_stride] from x [rows, padded(in)].
  void forward(std::int64_t rows, const float* x, const float* weights, const float* bias,
               float* y);
  // d [rows, out_stride]: the loss's gradient for y, overwritten. dx, for x, may be null. Then
  // moves weights and bias by -rate × their gradients.
  void backward(std::int64_t rows, const float* x, const float* y, float* d, float* dx,
                float* weights, float* bias, float rate);

 private:
  std::int64_t in_stride() const { return padded(stage_.in()); }
  std::int64_t rounded_stride() const {
    return in_stride() + in_stride() % (2 * kPanel);  // whole pairs of panels
  }
  void multiply(std::int64_t rows, const float* x, const float* weights, float* y);
  void multiply_back(std::int64_t rows, const float* x, const float* d, float* dx, float* weights);
  void pair_rows(std::int64_t rows, std::int64_t stride, const float* from, Bf16* to) const;

  LinearStage stage_;
  const Kernels& kernels_;
  bool bf16_;
  Aligned<float> scaled_;                 // [batch, out_stride]
  Aligned<Bf16> rounded_, rounded_d_;     // x [batch, rounded_stride]; d [batch, out_stride]
  Aligned<Bf16> paired_, paired_scaled_;  // two rows side by side: x [batch / 2, in_stride, 2]
};

}  // namespace fedstill::chain
