#pragma once

#include <cmath>
#include <string>

#include "model/quantized_graph.h"
#include "model/random.h"
#include "model/shapes.h"
#include "tests/support/fill_uniform.h"

namespace fedstill::test {

// Builds a quantized graph with random codes: the structure node by node, weights, biases and
// scales by finish(). Scales are such that codes neither all saturate nor all vanish.
class RandomNetwork {
 public:
  RandomNetwork(SampleShape input, std::uint64_t seed) : seed_(seed) {
    Attributes attributes;
    attributes.shape = std::move(input);
    add(Op::kInput, std::vector<int>{}, attributes);
  }

  int add(Op op, std::vector<int> inputs, const Attributes& attributes = {}) {
    std::vector<SampleShape> shapes;
    for (const int input : inputs) shapes.push_back(shape(input));
    Node node{.name = std::string(op_name(op)) + std::to_string(graph_.graph.nodes.size()),
              .op = op,
              .inputs = std::move(inputs),
              .parameters = {},
              .attributes = attributes};
    shapes_.push_back(node_shape(node, shapes));
    ActivationScale scale{static_cast<float>(0.01 + 0.09 * uniform()), zero_point(op)};
    if (op == Op::kConv2d || op == Op::kLinear) fill_layer(node, shapes[0], scale.scale);
    graph_.activations.push_back(scale);
    graph_.graph.nodes.push_back(std::move(node));
    return static_cast<int>(shapes_.size()) - 1;
  }

  int add(Op op, int input, const Attributes& attributes = {}) {
    return add(op, std::vector<int>{input}, attributes);
  }

  const SampleShape& shape(int node) const { return shapes_[static_cast<std::size_t>(node)]; }
  int last() const { return static_cast<int>(shapes_.size()) - 1; }

  // Ends in Flatten and a Linear with ten outputs, and applies the sharing rules.
  QuantizedGraph finish() && {
    Attributes ten;
    ten.out_features = 10;
    graph_.graph.outputs["logits"] = add(Op::kLinear, add(Op::kFlatten, last()), ten);
    graph_.graph.architecture = "random";
    graph_.scheme = "w8a8";
    share_scales();
    return std::move(graph_);
  }

  double uniform() { return random_uniform(seed_, counter_++); }
  std::int64_t below(std::int64_t bound) {
    return static_cast<std::int64_t>(
        random_below(seed_, counter_++, static_cast<std::uint64_t>(bound)));
  }

 private:
  std::uint8_t zero_point(Op op) {
    if (op == Op::kReLU) return static_cast<std::uint8_t>(below(2) * 30);
    return static_cast<std::uint8_t>(below(256));
  }

  void fill_layer(Node& node, const SampleShape& input, float output_scale) {
    const auto shapes = parameter_shapes(node, input);
    Tensor weight(DType::kI8, shapes[0].shape);
    for (std::int8_t& code : weight.values<std::int8_t>()) {
      code = static_cast<std::int8_t>(below(255) - 127);
    }
    const auto depth = static_cast<double>(weight.size() / weight.shape()[0]);
    const double spread = std::sqrt(depth) * 75.0 * 70.0;
    const float input_scale = graph_.activations[static_cast<std::size_t>(node.inputs[0])].scale;
    std::vector<float>& scales = graph_.weight_scales[node.name + ".weight"];
    for (std::int64_t i = 0; i < node.attributes.out_features; ++i) {
      scales.push_back(
          static_cast<float>(output_scale / input_scale * (20.0 + 60.0 * uniform()) / spread));
    }
    graph_.graph.tensors[node.name + ".weight"] = std::move(weight);
    node.parameters.push_back(node.name + ".weight");
    if (below(4) == 0) return;  // now and then without a bias
    Tensor bias(DType::kI32, shapes[1].shape);
    for (std::int32_t& value : bias.values<std::int32_t>()) {
      value = static_cast<std::int32_t>((uniform() - 0.5) * spread);
    }
    graph_.graph.tensors[node.name + ".bias"] = std::move(bias);
    node.parameters.push_back(node.name + ".bias");
  }

  // Written apart from the product's rules on purpose.
  void share_scales() {
    auto& nodes = graph_.graph.nodes;
    std::vector<int> readers(nodes.size(), 0);
    for (const Node& node : nodes) {
      for (const int input : node.inputs) ++readers[static_cast<std::size_t>(input)];
    }
    for (std::size_t i = 1; i < nodes.size(); ++i) {
      const auto from = static_cast<std::size_t>(nodes[i].inputs[0]);
      const Op op = nodes[i].op, producer = nodes[from].op;
      const bool clamps = op == Op::kReLU || op == Op::kClip;
      const bool fuses =
          clamps && readers[from] == 1 &&
          (producer == Op::kConv2d || producer == Op::kLinear || producer == Op::kAdd);
      if (fuses) {
        graph_.activations[from] = graph_.activations[i];
      } else if (clamps || op == Op::kMaxPool || op == Op::kFlatten || op == Op::kReshape ||
                 op == Op::kSlice || op == Op::kUpsample) {
        graph_.activations[i] = graph_.activations[from];
      }
    }
  }

  std::uint64_t seed_, counter_ = 0;
  QuantizedGraph graph_;
  std::vector<SampleShape> shapes_;
};

inline std::vector<float> random_image(const QuantizedGraph& graph, std::uint64_t seed) {
  const ActivationScale& scale = graph.activations[0];
  std::vector<float> image(static_cast<std::size_t>(element_count(graph.graph.input_shape())));
  const auto zero = static_cast<float>(scale.zero_point);
  tests::fill_uniform(image, seed, scale.scale * (-20.0F - zero), scale.scale * (275.0F - zero));
  return image;
}

}  // namespace fedstill::test
