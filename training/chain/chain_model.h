#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "training/chain/chain_plan.h"
#include "training/chain/chain_weights.h"
#include "training/chain/conv_layer.h"
#include "training/chain/kernels.h"
#include "training/chain/linear_layer.h"

namespace fedstill::chain {

// A chain with weights of its own that trains by plain SGD on the cross-entropy: no graph of the
// computation is recorded, nothing is allocated in a step. One thread at a time.
class ChainModel {
 public:
  // Batches of at most `batch` images. bf16: factors of most products are rounded to bfloat16,
  // sums, weights and gradients are float32.
  ChainModel(const ChainPlan& plan, std::int64_t batch, bool bf16 = false,
             const Kernels& kernels = fastest_kernels());

  std::span<float> weights() { return weights_; }  // as chain_weights.h lays them out
  std::int64_t batch() const { return batch_; }
  // Where image r of the next batch goes: [height, width, channels].
  std::span<float> image(std::int64_t r);

  // The logits of so many images, [rows, logits_stride()].
  const float* forward(std::int64_t rows);
  std::int64_t logits_stride() const { return padded(plan_.classes()); }
  // One step on as many images as there are labels, each in [0, classes): forward, the mean
  // cross-entropy, which is returned, its gradients, weights −= rate × gradients.
  double step(std::span<const std::int32_t> labels, float rate);

 private:
  using Layer = std::variant<ConvLayer, LinearLayer>;
  struct Values {  // after a layer
    Aligned<float> values, gradients;
    std::int64_t stride = 0;
  };

  const float* input_of(std::size_t layer) const;
  double take_loss(std::span<const std::int32_t> labels);

  ChainPlan plan_;
  std::int64_t batch_, in_stride_;
  std::vector<StageWeights> places_;
  Aligned<float> weights_, images_;
  std::vector<Layer> layers_;
  std::vector<Values> values_;  // one per layer
};

}  // namespace fedstill::chain
