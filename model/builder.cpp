#include "model/builder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "model/random.h"
#include "model/shapes.h"

namespace fedstill {
namespace {

const char* prefix(Op op) {
  switch (op) {
    case Op::kInput:
      return "input";
    case Op::kConv2d:
      return "conv";
    case Op::kLinear:
      return "fc";
    case Op::kBatchNorm:
      return "bn";
    case Op::kReLU:
      return "relu";
    case Op::kClip:
      return "clip";
    case Op::kLeakyReLU:
      return "leaky_relu";
    case Op::kHardSwish:
      return "hard_swish";
    case Op::kHardSigmoid:
      return "hard_sigmoid";
    case Op::kSigmoid:
      return "sigmoid";
    case Op::kTanh:
      return "tanh";
    case Op::kMaxPool:
      return "max_pool";
    case Op::kAveragePool:
      return "average_pool";
    case Op::kGlobalAveragePool:
      return "global_pool";
    case Op::kAdd:
      return "add";
    case Op::kMul:
      return "mul";
    case Op::kConcat:
      return "concat";
    case Op::kSlice:
      return "slice";
    case Op::kFlatten:
      return "flatten";
    case Op::kReshape:
      return "reshape";
    case Op::kDropout:
      return "dropout";
    case Op::kUpsample:
      return "upsample";
    case Op::kSoftmax:
      return "softmax";
  }
  throw std::invalid_argument("[builder] unknown operator");
}

void fill_weight(Tensor& weight, std::uint64_t seed, const std::string& name, double gain) {
  const std::int64_t fan_in = weight.size() / weight.shape()[0];
  fill_normal(weight.values<float>(), derive_key(seed, name_hash(name)),
              static_cast<float>(std::sqrt(gain / static_cast<double>(fan_in))));
}

constexpr double kReluGain = 2.0;  // He et al. 2015

}  // namespace

GraphBuilder::GraphBuilder(std::string architecture, SampleShape input, std::uint64_t seed)
    : seed_(seed) {
  graph_.architecture = std::move(architecture);
  Attributes attributes;
  attributes.shape = std::move(input);
  append(Op::kInput, {}, std::move(attributes));
}

const SampleShape& GraphBuilder::shape(int node) const {
  if (node < 0 || static_cast<std::size_t>(node) >= shapes_.size()) {
    throw std::invalid_argument("[builder] there is no node " + std::to_string(node));
  }
  return shapes_[static_cast<std::size_t>(node)];
}

int GraphBuilder::append(Op op, std::vector<int> inputs, Attributes attributes, bool bias) {
  const auto same_op = [op](const Node& other) { return other.op == op; };
  const auto earlier = std::count_if(graph_.nodes.begin(), graph_.nodes.end(), same_op);
  Node node{.name = prefix(op),
            .op = op,
            .inputs = std::move(inputs),
            .parameters = {},
            .attributes = std::move(attributes)};
  if (op != Op::kInput) node.name += std::to_string(earlier + 1);
  std::vector<SampleShape> input_shapes;
  for (const int input : node.inputs) input_shapes.push_back(shape(input));
  SampleShape output = node_shape(node, input_shapes);
  if (op != Op::kInput) add_parameters(node, input_shapes[0], bias);
  graph_.nodes.push_back(std::move(node));
  shapes_.push_back(std::move(output));
  return static_cast<int>(graph_.nodes.size()) - 1;
}

void GraphBuilder::add_parameters(Node& node, const SampleShape& input, bool bias) {
  for (const auto& [kind, shape] : parameter_shapes(node, input)) {
    const std::string_view suffix = kind;
    if (suffix == "bias" && !bias) continue;
    const std::string name = node.name + "." + kind;
    Tensor value(DType::kF32, shape);
    if (node.op == Op::kBatchNorm) {
      const bool is_one = suffix == "weight" || suffix == "running_var";
      std::ranges::fill(value.values<float>(), is_one ? 1.0F : 0.0F);
    } else if (suffix == "weight") {
      fill_weight(value, seed_, name, kReluGain);
    }
    graph_.tensors.emplace(name, std::move(value));
    node.parameters.push_back(name);
  }
}

int GraphBuilder::conv(int input, const Conv& conv) {
  const std::int64_t padding = conv.padding < 0 ? (conv.kernel - 1) / 2 : conv.padding;
  Attributes attributes;
  attributes.kernel = {conv.kernel, conv.kernel};
  attributes.stride = {conv.stride, conv.stride};
  attributes.padding = {padding, padding};
  attributes.groups = conv.groups;
  attributes.out_features = conv.out;
  return append(Op::kConv2d, {input}, std::move(attributes), conv.bias);
}

int GraphBuilder::conv_bn(int input, const Conv& conv) {
  Conv without_bias = conv;
  without_bias.bias = false;
  return batch_norm(this->conv(input, without_bias));
}

int GraphBuilder::conv_bn_relu(int input, const Conv& conv) {
  return unary(conv_bn(input, conv), Op::kReLU);
}

int GraphBuilder::linear(int input, std::int64_t out) {
  Attributes attributes;
  attributes.out_features = out;
  return append(Op::kLinear, {input}, std::move(attributes));
}

int GraphBuilder::batch_norm(int input) { return append(Op::kBatchNorm, {input}, {}); }

int GraphBuilder::pool(int input, Op kind, std::int64_t kernel, std::int64_t stride) {
  if (kind != Op::kMaxPool && kind != Op::kAveragePool) {
    throw std::invalid_argument("[builder] " + std::string(op_name(kind)) + " is not a pool");
  }
  Attributes attributes;
  attributes.kernel = {kernel, kernel};
  attributes.stride = {stride, stride};
  return append(kind, {input}, std::move(attributes));
}

int GraphBuilder::dropout(int input, float rate) {
  Attributes attributes;
  attributes.rate = rate;
  return append(Op::kDropout, {input}, std::move(attributes));
}

int GraphBuilder::reshape(int input, SampleShape shape) {
  Attributes attributes;
  attributes.shape = std::move(shape);
  return append(Op::kReshape, {input}, std::move(attributes));
}

int GraphBuilder::slice(int input, std::int64_t begin, std::int64_t end) {
  Attributes attributes;
  attributes.begin = begin;
  attributes.end = end;
  return append(Op::kSlice, {input}, std::move(attributes));
}

int GraphBuilder::unary(int input, Op op) { return append(op, {input}, {}); }

int GraphBuilder::binary(int left, int right, Op op) { return append(op, {left, right}, {}); }

Graph GraphBuilder::finish(int output, std::string output_name) && {
  shape(output);
  const Node& last = graph_.nodes[static_cast<std::size_t>(output)];
  if (last.op == Op::kLinear) {
    const std::string& weight = last.parameters[0];
    fill_weight(graph_.tensors.at(weight), seed_, weight, 1.0);
  }
  graph_.outputs.emplace(std::move(output_name), output);
  validate(graph_);
  return std::move(graph_);
}

}  // namespace fedstill
