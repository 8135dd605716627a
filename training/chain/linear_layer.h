#pragma once

#include <cstdint>

#include "training/chain/aligned.h"
#include "training/chain/chain_plan.h"
#include "training/chain/kernels.h"

namespace fedstill::chain {

// One Linear of a chain. Rows of features are padded(features) floats apart, zeros behind them.
class LinearLayer {
 public:
  LinearLayer(const LinearStage& stage, const Kernels& kernels, std::int64_t batch);

  std::int64_t out_stride() const { return padded(stage_.out); }
  // y [rows, out_stride] from x [rows, padded(in)].
  void forward(std::int64_t rows, const float* x, const float* weights, const float* bias,
               float* y);
  // d [rows, out_stride]: the loss's gradient for y, overwritten. dx, for x, may be null. Then
  // moves weights and bias by -rate × their gradients.
  void backward(std::int64_t rows, const float* x, const float* y, float* d, float* dx,
                float* weights, float* bias, float rate);

 private:
  LinearStage stage_;
  const Kernels& kernels_;
  Aligned<float> scaled_;  // [batch, out_stride]
};

}  // namespace fedstill::chain
