#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

#include "data/batches.h"
#include "data/images.h"
#include "training/executor.h"

namespace fedstill {

struct PredictOptions {
  std::int64_t block = 500;  // images at once; a part of it where they would need too much memory
  std::function<void(std::int64_t)> on_block = {};  // with the number of images done, or under way
  at::Device device = at::kCPU;
};

// Runs a graph in eval mode over images in blocks; no gradients. BatchNorm is folded first. Returns
// the named outputs in order, each [N, …] float32 on the host.
std::vector<at::Tensor> predict(const Graph& graph, std::span<const std::string> outputs,
                                const ImageView& images, const Normalisation& normalisation,
                                const PredictOptions& options = {});

// Share of rows of logits or probabilities [N, C] whose largest entry is the label.
double accuracy(const at::Tensor& scores, std::span<const std::int32_t> labels);

}  // namespace fedstill
