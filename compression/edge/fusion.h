#pragma once

#include <cstdint>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

// Per node: the ReLU or Clip that its clamp applies, or −1. That is the only reader of a Conv2d,
// Linear or Add which is no output itself.
std::vector<int> fused_activations(const Graph& graph);

// MaxPool, Flatten, Reshape, Slice, Upsample, ReLU and Clip: the codes of the input pass through.
bool keeps_scale(Op op);

std::uint8_t nearest_code(float value, const ActivationScale& scale);  // QuantizeLinear
float real_value(std::uint8_t code, const ActivationScale& scale);

struct CodeRange {
  std::uint8_t low = 0, high = 255;
};
// The codes that a ReLU or Clip at this scale may give.
CodeRange activation_range(const Node& activation, const ActivationScale& scale);

}  // namespace fedstill
