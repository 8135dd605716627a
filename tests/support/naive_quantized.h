#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <vector>

#include "model/quantized_graph.h"
#include "tests/support/naive_windows.h"

namespace fedstill::tests {

// What a quantized graph means, in double precision: every operator on real numbers, every
// activation rounded to its codes, unless a clamp follows that does so. Covers the operators of the
// zoo's integer networks.
class NaiveQuantized {
 public:
  explicit NaiveQuantized(const QuantizedGraph& graph) : quantized_(graph), graph_(graph.graph) {}

  std::vector<double> logits(std::span<const float> image) {
    done_.clear();
    const auto logits = static_cast<std::size_t>(graph_.output("logits"));
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      NaiveTensor value = i == 0 ? NaiveTensor{node.attributes.shape, {image.begin(), image.end()}}
                                 : evaluate(node);
      const bool is_rounded_later = fused_activation(graph_, static_cast<int>(i)) >= 0;
      if (i != logits && !is_rounded_later) round_to_codes(value, quantized_.activations[i]);
      done_.push_back(std::move(value));
    }
    return done_[logits].values;
  }

 private:
  static void round_to_codes(NaiveTensor& value, const ActivationScale& activation) {
    for (double& x : value.values) {
      const double zero = activation.zero_point;
      const double code =
          std::clamp(std::nearbyint(x / double{activation.scale}) + zero, 0.0, 255.0);
      x = double{activation.scale} * (code - zero);
    }
  }

  const NaiveTensor& input(const Node& node, std::size_t i) const {
    return done_[static_cast<std::size_t>(node.inputs[i])];
  }

  std::vector<float> weight(const Node& node) const {
    const auto codes = graph_.tensors.at(node.parameters[0]).values<std::int8_t>();
    const std::vector<float>& scales = quantized_.weight_scales.at(node.parameters[0]);
    std::vector<float> values;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      values.push_back(static_cast<float>(codes[i]) * scales[i * scales.size() / codes.size()]);
    }
    return values;
  }

  std::vector<float> bias(const Node& node) const {
    std::vector<float> values;
    if (node.parameters.size() < 2) return values;
    const auto codes = graph_.tensors.at(node.parameters[1]).values<std::int32_t>();
    const auto producer = static_cast<std::size_t>(node.inputs[0]);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      values.push_back(static_cast<float>(codes[i]) * quantized_.activations[producer].scale *
                       quantized_.weight_scales.at(node.parameters[0])[i]);
    }
    return values;
  }

  NaiveTensor linear(const Node& node, const NaiveTensor& in) const {
    NaiveTensor out = naive_empty({node.attributes.out_features});
    const std::vector<float> weights = weight(node), biases = bias(node);
    for (std::size_t o = 0; o < out.values.size(); ++o) {
      out.values[o] = biases.empty() ? 0.0 : double{biases[o]};
      for (std::size_t i = 0; i < in.values.size(); ++i) {
        out.values[o] += double{weights[o * in.values.size() + i]} * in.values[i];
      }
    }
    return out;
  }

  NaiveTensor join(const Node& node) const {
    if (node.attributes.axis != 0) throw std::logic_error("only channels are joined here");
    NaiveTensor out = input(node, 0);
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      const NaiveTensor& in = input(node, i);
      out.shape[0] += in.shape[0];
      out.values.insert(out.values.end(), in.values.begin(), in.values.end());
    }
    return out;
  }

  static NaiveTensor clamp(NaiveTensor in, double low, double high) {
    for (double& x : in.values) x = std::clamp(x, low, high);
    return in;
  }

  static NaiveTensor mean(const NaiveTensor& in) {
    NaiveTensor out = naive_empty({in.shape[0]});
    const std::size_t pixels = in.values.size() / out.values.size();
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      out.values[i / pixels] += in.values[i] / static_cast<double>(pixels);
    }
    return out;
  }

  NaiveTensor add(const Node& node) const {
    NaiveTensor sum = input(node, 0);
    for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += input(node, 1).values[i];
    return sum;
  }

  NaiveTensor evaluate(const Node& node) const {
    const NaiveTensor& in = input(node, 0);
    if (node.op == Op::kConv2d) return naive_conv(node, in, weight(node), bias(node));
    if (node.op == Op::kLinear) return linear(node, in);
    if (node.op == Op::kReLU) return clamp(in, 0.0, 1e300);
    if (node.op == Op::kClip) return clamp(in, node.attributes.low, node.attributes.high);
    if (node.op == Op::kAdd) return add(node);
    if (node.op == Op::kMaxPool || node.op == Op::kAveragePool) return naive_pool(node, in);
    if (node.op == Op::kGlobalAveragePool) return mean(in);
    if (node.op == Op::kConcat) return join(node);
    if (node.op == Op::kFlatten) return {{static_cast<std::int64_t>(in.values.size())}, in.values};
    throw std::logic_error("no naive " + std::string(op_name(node.op)));
  }

  const QuantizedGraph& quantized_;
  const Graph& graph_;
  std::vector<NaiveTensor> done_;
};

}  // namespace fedstill::tests
