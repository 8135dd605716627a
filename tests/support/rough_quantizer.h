#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "model/fold.h"
#include "model/quantized_graph.h"
#include "tests/support/naive_executor.h"

namespace fedstill::tests {

// Gives any float graph of the zoo a valid int8 form: ranges of one image, weights by their largest
// value. Good enough to test what reads quantized graphs, not to classify with.
class RoughQuantizer {
 public:
  static QuantizedGraph quantize(const Graph& graph, std::span<const float> image) {
    QuantizedGraph result{.scheme = "w8a8", .graph = fold_batch_norm(graph)};
    const auto values = naive_values(result.graph, image);
    for (const std::vector<double>& value : values) result.activations.push_back(range_of(value));
    share_scales(result);
    for (const Node& node : result.graph.nodes) {
      if (node.op == Op::kConv2d || node.op == Op::kLinear) quantize_parameters(result, node);
    }
    validate(result);
    return result;
  }

 private:
  static ActivationScale range_of(const std::vector<double>& values) {
    const auto [low, high] = std::ranges::minmax(values);
    const double start = std::min(low, 0.0);
    const double scale = std::max(std::max(high, 0.0) - start, 1e-3) / 255.0;
    return {.scale = static_cast<float>(scale),
            .zero_point = static_cast<std::uint8_t>(std::lround(-start / scale))};
  }

  static void share_scales(QuantizedGraph& result) {
    std::vector<ActivationScale>& scales = result.activations;
    for (std::size_t i = 1; i < scales.size(); ++i) {
      const Node& node = result.graph.nodes[i];
      const auto input = static_cast<std::size_t>(node.inputs[0]);
      const Op op = node.op;
      if (fused_activation(result.graph, node.inputs[0]) == static_cast<int>(i)) {
        scales[input] = scales[i];
      } else if (op == Op::kMaxPool || op == Op::kFlatten || op == Op::kReshape ||
                 op == Op::kSlice || op == Op::kUpsample || op == Op::kReLU || op == Op::kClip) {
        scales[i] = scales[input];
      }
    }
  }

  static void quantize_parameters(QuantizedGraph& result, const Node& node) {
    Tensor& weight = result.graph.tensors.at(node.parameters[0]);
    const auto values = std::as_const(weight).values<float>();
    const auto out = static_cast<std::size_t>(node.attributes.out_features);
    const std::size_t row = values.size() / out;
    Tensor codes(DType::kI8, weight.shape());
    std::vector<float>& scales = result.weight_scales[node.parameters[0]];
    for (std::size_t o = 0; o < out; ++o) {
      float largest = 1e-6F;
      for (const float w : values.subspan(o * row, row)) largest = std::max(largest, std::abs(w));
      scales.push_back(largest / 127.0F);
      for (std::size_t i = o * row; i < (o + 1) * row; ++i) {
        codes.values<std::int8_t>()[i] =
            static_cast<std::int8_t>(std::nearbyint(values[i] / scales[o]));
      }
    }
    weight = std::move(codes);
    if (node.parameters.size() < 2) return;
    Tensor& bias = result.graph.tensors.at(node.parameters[1]);
    Tensor sums(DType::kI32, bias.shape());
    const float input = result.activations[static_cast<std::size_t>(node.inputs[0])].scale;
    for (std::size_t o = 0; o < out; ++o) {
      sums.values<std::int32_t>()[o] = static_cast<std::int32_t>(
          std::nearbyint(std::as_const(bias).values<float>()[o] / (input * scales[o])));
    }
    bias = std::move(sums);
  }
};

}  // namespace fedstill::tests
