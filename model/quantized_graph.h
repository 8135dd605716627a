#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// real = scale × (code − zero_point); codes are uint8.
struct ActivationScale {
  float scale = 1.0F;
  std::uint8_t zero_point = 0;
  bool operator==(const ActivationScale&) const = default;
};

// A graph whose Conv2d and Linear weights are int8 codes (symmetric, one scale per output channel)
// and whose biases are int32 with scale input_scale × weight_scale[channel], zero point 0. It has
// no BatchNorm and no Dropout. Every activation is uint8 except the output "logits", which is
// float32: accumulator × input_scale × weight_scale. A Conv2d, Linear or Add directly followed by
// ReLU or Clip (its only reader) shares that node's scale: the activation is applied by the clamp.
// MaxPool, Flatten, Reshape, Slice, Upsample, ReLU and Clip keep the scale of their input unless
// the producer rule above applies.
struct QuantizedGraph {
  std::string scheme;                          // "w8a8"
  Graph graph{};                               // structure plus int8 weights and int32 biases
  std::vector<ActivationScale> activations{};  // of every node's output, in node order
  std::map<std::string, std::vector<float>> weight_scales{};  // weight tensor name → [out]
  bool operator==(const QuantizedGraph&) const = default;
};

// Checks structure, dtypes, scales (finite, positive) and the sharing rules. Throws
// std::invalid_argument naming the node.
void validate(const QuantizedGraph& graph, const GraphLimits& limits = {});

// MaxPool, Flatten, Reshape, Slice, Upsample, ReLU and Clip: the codes of the input pass through.
bool keeps_scale(Op op);

// The ReLU or Clip that is applied by the clamp of this Conv2d, Linear or Add: its only reader,
// when the node itself is no output. -1 if there is none.
int fused_activation(const Graph& graph, int node);

}  // namespace fedstill
