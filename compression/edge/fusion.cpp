#include "compression/edge/fusion.h"

#include <algorithm>
#include <cmath>

namespace fedstill {

std::vector<int> fused_activations(const Graph& graph) {
  std::vector<int> readers(graph.nodes.size(), 0), reader(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const int input : graph.nodes[i].inputs) {
      ++readers[static_cast<std::size_t>(input)];
      reader[static_cast<std::size_t>(input)] = static_cast<int>(i);
    }
  }
  for (const auto& output : graph.outputs) ++readers[static_cast<std::size_t>(output.second)];
  std::vector<int> fused(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Op op = graph.nodes[i].op;
    if (op != Op::kConv2d && op != Op::kLinear && op != Op::kAdd) continue;
    if (readers[i] != 1 || reader[i] < 0) continue;
    const Op next = graph.nodes[static_cast<std::size_t>(reader[i])].op;
    if (next == Op::kReLU || next == Op::kClip) fused[i] = reader[i];
  }
  return fused;
}

bool keeps_scale(Op op) {
  return op == Op::kMaxPool || op == Op::kFlatten || op == Op::kReshape || op == Op::kSlice ||
         op == Op::kUpsample || op == Op::kReLU || op == Op::kClip;
}

std::uint8_t nearest_code(float value, const ActivationScale& scale) {
  const auto zero = static_cast<float>(scale.zero_point);
  const float steps = std::clamp(value / scale.scale, -zero, 255.0F - zero);
  return static_cast<std::uint8_t>(std::nearbyint(steps) + zero);
}

float real_value(std::uint8_t code, const ActivationScale& scale) {
  return scale.scale * static_cast<float>(code - scale.zero_point);
}

CodeRange activation_range(const Node& activation, const ActivationScale& scale) {
  if (activation.op == Op::kReLU) return {scale.zero_point, 255};
  return {nearest_code(activation.attributes.low, scale),
          nearest_code(activation.attributes.high, scale)};
}

}  // namespace fedstill
