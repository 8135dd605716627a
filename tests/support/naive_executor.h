#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "model/graph.h"

namespace fedstill::tests {

// The oracle: runs one sample through a graph in eval mode, in the plainest loops there are, in
// double precision throughout. Slow and obviously right; nothing in it is shared with the product.
// Requires: a valid graph and input_shape() many values.

// Output of every node, row-major, in node order.
std::vector<std::vector<double>> naive_values(const Graph& graph, std::span<const float> sample);

std::vector<double> naive_output(const Graph& graph, std::span<const float> sample,
                                 std::string_view output = "logits");

}  // namespace fedstill::tests

// Bodies here, so that a test of any folder needs no more than this include.
#include <algorithm>
#include <cmath>

#include "tests/support/naive_windows.h"

namespace fedstill::tests {

class NaiveExecutor {
 public:
  explicit NaiveExecutor(const Graph& graph) : graph_(graph) {}

  const std::vector<NaiveTensor>& run(std::span<const float> sample) {
    done_.clear();
    for (const Node& node : graph_.nodes) {
      done_.push_back(node.op == Op::kInput
                          ? NaiveTensor{node.attributes.shape, {sample.begin(), sample.end()}}
                          : evaluate(node, input(node, 0)));
    }
    return done_;
  }

 private:
  const NaiveTensor& input(const Node& node, std::size_t i) const {
    return done_[static_cast<std::size_t>(node.inputs[i])];
  }
  std::span<const float> parameter(const Node& node, std::size_t i) const {
    return graph_.tensors.at(node.parameters[i]).values<float>();
  }
  // Empty where there is none.
  std::span<const float> bias_of(const Node& node) const {
    return node.parameters.size() > 1 ? parameter(node, 1) : std::span<const float>{};
  }

  NaiveTensor evaluate(const Node& node, const NaiveTensor& in) const {
    switch (node.op) {
      case Op::kInput:
        return in;
      case Op::kConv2d:
        return naive_conv(node, in, parameter(node, 0), bias_of(node));
      case Op::kLinear:
        return linear(node, in);
      case Op::kBatchNorm:
        return batch_norm(node, in);
      case Op::kMaxPool:
      case Op::kAveragePool:
        return naive_pool(node, in);
      case Op::kGlobalAveragePool:
        return global_average(in);
      case Op::kAdd:
      case Op::kMul:
        return combine(node, in, input(node, 1));
      case Op::kConcat:
        return concat(node);
      case Op::kSlice:
        return slice(node, in, node.attributes.begin, node.attributes.end);
      case Op::kFlatten:
        return {{static_cast<std::int64_t>(in.values.size())}, in.values};
      case Op::kReshape:
        return {node.attributes.shape, in.values};
      case Op::kDropout:
        return in;
      case Op::kUpsample:
        return naive_upsample(node, in);
      case Op::kSoftmax:
        return softmax(node, in);
      case Op::kReLU:
      case Op::kClip:
      case Op::kLeakyReLU:
      case Op::kHardSwish:
      case Op::kHardSigmoid:
      case Op::kSigmoid:
      case Op::kTanh:
        return activate(node, in);
    }
    return in;
  }

  static double activation(const Node& node, double x) {
    const Attributes& a = node.attributes;
    const double hard = std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    if (node.op == Op::kReLU) return std::max(x, 0.0);
    if (node.op == Op::kClip) return std::clamp(x, double{a.low}, double{a.high});
    if (node.op == Op::kLeakyReLU) return x >= 0.0 ? x : double{a.slope} * x;
    if (node.op == Op::kHardSwish) return x * hard;
    if (node.op == Op::kHardSigmoid) return hard;
    if (node.op == Op::kSigmoid) return 1.0 / (1.0 + std::exp(-x));
    return std::tanh(x);
  }

  static NaiveTensor activate(const Node& node, NaiveTensor in) {
    for (double& x : in.values) x = activation(node, x);
    return in;
  }

  NaiveTensor linear(const Node& node, const NaiveTensor& in) const {
    NaiveTensor out = naive_empty({node.attributes.out_features});
    const std::span<const float> weight = parameter(node, 0);
    const std::span<const float> bias = bias_of(node);
    for (std::size_t o = 0; o < out.values.size(); ++o) {
      out.values[o] = bias.empty() ? 0.0 : double{bias[o]};
      for (std::size_t i = 0; i < in.values.size(); ++i) {
        out.values[o] += double{weight[o * in.values.size() + i]} * in.values[i];
      }
    }
    return out;
  }

  NaiveTensor batch_norm(const Node& node, NaiveTensor in) const {
    const std::size_t channels = static_cast<std::size_t>(in.shape[0]);
    const std::size_t pixels = in.values.size() / channels;
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      const std::size_t c = i / pixels;
      const double deviation =
          std::sqrt(double{parameter(node, 3)[c]} + double{node.attributes.epsilon});
      in.values[i] = (in.values[i] - double{parameter(node, 2)[c]}) / deviation *
                         double{parameter(node, 0)[c]} +
                     double{parameter(node, 1)[c]};
    }
    return in;
  }

  static NaiveTensor global_average(const NaiveTensor& in) {
    NaiveTensor out = naive_empty({in.shape[0]});
    const std::size_t pixels = in.values.size() / out.values.size();
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      out.values[i / pixels] += in.values[i] / static_cast<double>(pixels);
    }
    return out;
  }

  static NaiveTensor combine(const Node& node, NaiveTensor left, const NaiveTensor& right) {
    for (std::size_t i = 0; i < left.values.size(); ++i) {
      if (node.op == Op::kAdd) left.values[i] += right.values[i];
      if (node.op == Op::kMul) left.values[i] *= right.values[i];
    }
    return left;
  }

  // A tensor seen as [outer, axis, inner].
  static std::size_t inner_size(const Node& node, const SampleShape& shape) {
    std::int64_t inner = 1;
    for (auto i = static_cast<std::size_t>(node.attributes.axis) + 1; i < shape.size(); ++i) {
      inner *= shape[i];
    }
    return static_cast<std::size_t>(inner);
  }

  static NaiveTensor slice(const Node& node, const NaiveTensor& in, std::int64_t begin,
                           std::int64_t end) {
    const auto axis = static_cast<std::size_t>(node.attributes.axis);
    const std::size_t inner = inner_size(node, in.shape);
    NaiveTensor out{in.shape, {}};
    out.shape[axis] = end - begin;
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      const auto position =
          static_cast<std::int64_t>(i / inner) % in.shape[axis];  // along the axis
      if (position >= begin && position < end) out.values.push_back(in.values[i]);
    }
    return out;
  }

  NaiveTensor concat(const Node& node) const {
    const auto axis = static_cast<std::size_t>(node.attributes.axis);
    NaiveTensor out{input(node, 0).shape, {}};
    const std::size_t inner = inner_size(node, out.shape);
    out.shape[axis] = 0;
    std::size_t outer = 1;
    for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(out.shape[i]);
    for (std::size_t row = 0; row < outer; ++row) {
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const NaiveTensor& in = input(node, i);
        const std::size_t block = static_cast<std::size_t>(in.shape[axis]) * inner;
        const auto begin = in.values.begin() + static_cast<std::ptrdiff_t>(row * block);
        out.values.insert(out.values.end(), begin, begin + static_cast<std::ptrdiff_t>(block));
        if (row == 0) out.shape[axis] += in.shape[axis];
      }
    }
    return out;
  }

  static NaiveTensor softmax(const Node& node, NaiveTensor in) {
    const std::size_t inner = inner_size(node, in.shape);
    const auto length =
        static_cast<std::size_t>(in.shape[static_cast<std::size_t>(node.attributes.axis)]);
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      if ((i / inner) % length != 0) continue;  // i is the first of its row
      double largest = in.values[i];
      double sum = 0.0;
      for (std::size_t k = 0; k < length; ++k) {
        largest = std::max(largest, in.values[i + k * inner]);
      }
      for (std::size_t k = 0; k < length; ++k) sum += std::exp(in.values[i + k * inner] - largest);
      for (std::size_t k = 0; k < length; ++k) {
        in.values[i + k * inner] = std::exp(in.values[i + k * inner] - largest) / sum;
      }
    }
    return in;
  }

  const Graph& graph_;
  std::vector<NaiveTensor> done_;
};

inline std::vector<std::vector<double>> naive_values(const Graph& graph,
                                                     std::span<const float> sample) {
  NaiveExecutor executor(graph);
  std::vector<std::vector<double>> values;
  for (const NaiveTensor& tensor : executor.run(sample)) values.push_back(tensor.values);
  return values;
}

inline std::vector<double> naive_output(const Graph& graph, std::span<const float> sample,
                                        std::string_view output) {
  return naive_values(graph, sample)[static_cast<std::size_t>(graph.output(output))];
}

}  // namespace fedstill::tests
