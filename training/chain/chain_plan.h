#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "model/graph.h"

namespace fedstill::chain {

// Conv2d, then perhaps ReLU and MaxPool in either order. Images are [height, width, channels].
struct ConvStage {
  std::int64_t height = 0, width = 0, channels = 0;  // of the input
  std::int64_t out_channels = 0;
  std::array<std::int64_t, 2> kernel{1, 1}, stride{1, 1}, padding{0, 0};
  std::int64_t pool = 1;                       // window and stride of the MaxPool; 1: none
  std::int64_t out_height = 0, out_width = 0;  // after the MaxPool
  bool rectify = false;
  std::string weight{}, bias{};  // names of the tensors; bias may be empty

  std::int64_t kernel_row() const { return kernel[1] * channels; }
  std::int64_t out_features() const { return out_height * out_width * out_channels; }
};

// Linear, then perhaps ReLU. Its input was an image [height, width, channels], or [1, 1, features].
struct LinearStage {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t out = 0;
  bool rectify = false;
  std::string weight{}, bias{};

  std::int64_t in() const { return height * width * channels; }
};

using Stage = std::variant<ConvStage, LinearStage>;

// A graph that is a plain chain: Conv2d (one group, no dilation), ReLU, MaxPool (square windows
// side by side, no padding), Flatten and Linear, the last of which is the output "logits".
struct ChainPlan {
  std::int64_t height = 0, width = 0, channels = 0;  // of the input
  std::vector<Stage> stages{};

  std::int64_t in_features() const { return height * width * channels; }
  std::int64_t classes() const { return std::get<LinearStage>(stages.back()).out; }
};

// Throws std::invalid_argument naming the first node that does not belong in such a chain, and as
// validate() does.
ChainPlan plan_chain(const Graph& graph);

}  // namespace fedstill::chain
