#include "model/shapes.h"

#include <algorithm>

namespace fedstill {
namespace {

using InputShapes = std::vector<SampleShape>;

void require_rank(const Node& node, const SampleShape& shape, std::size_t rank) {
  if (shape.size() == rank) return;
  throw_node_error(node, "input is " + shape_text(shape) + ", expected " + std::to_string(rank) +
                             " dimension" + (rank == 1 ? "" : "s"));
}

std::size_t checked_axis(const Node& node, const SampleShape& shape) {
  const std::int64_t axis = node.attributes.axis;
  if (axis >= 0 && axis < static_cast<std::int64_t>(shape.size())) {
    return static_cast<std::size_t>(axis);
  }
  throw_node_error(node, "axis is " + std::to_string(axis) + ", input is " + shape_text(shape));
}

void check_arity(const Node& node, std::size_t count) {
  const bool fits = node.op == Op::kInput                        ? count == 0
                    : node.op == Op::kConcat                     ? count >= 1
                    : node.op == Op::kAdd || node.op == Op::kMul ? count == 2
                                                                 : count == 1;
  if (!fits) throw_node_error(node, "has " + std::to_string(count) + " inputs");
}

// Elements of a shape whose sizes are at least 1, or an error: no overflow whatever the sizes.
std::int64_t checked_product(const Node& node, const SampleShape& shape, const GraphLimits& limits,
                             const char* what = "output ") {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 1 || size > limits.max_dimension || count > limits.max_elements / size) {
      throw_node_error(node, what + shape_text(shape) + " exceeds the limits");
    }
    count *= size;
  }
  return count;
}

// In is [C, H, W].
std::int64_t window_count(const Node& node, std::size_t i, const SampleShape& in,
                          std::int64_t dilation) {
  const Attributes& a = node.attributes;
  const std::int64_t extent = dilation * (a.kernel[i] - 1) + 1;
  const std::int64_t padded = padded_input(node, in)[i + 1];
  if (padded < extent) {
    throw_node_error(node, std::string(i == 0 ? "height " : "width ") + std::to_string(in[i + 1]) +
                               " with padding " + std::to_string(a.padding[i]) +
                               " is smaller than the kernel's extent " + std::to_string(extent));
  }
  return (padded - extent) / a.stride[i] + 1;
}

SampleShape conv_shape(const Node& node, const SampleShape& in, const GraphLimits& limits) {
  require_rank(node, in, 3);
  checked_product(node, padded_input(node, in), limits, "padded input ");
  const Attributes& a = node.attributes;
  if (in[0] % a.groups != 0) {
    throw_node_error(node, "input has " + std::to_string(in[0]) + " channels, groups is " +
                               std::to_string(a.groups));
  }
  return {a.out_features, window_count(node, 0, in, a.dilation[0]),
          window_count(node, 1, in, a.dilation[1])};
}

SampleShape pool_shape(const Node& node, const SampleShape& in, const GraphLimits& limits) {
  require_rank(node, in, 3);
  checked_product(node, padded_input(node, in), limits, "padded input ");
  return {in[0], window_count(node, 0, in, 1), window_count(node, 1, in, 1)};
}

SampleShape elementwise_shape(const Node& node, const InputShapes& inputs) {
  if (inputs[0] == inputs[1]) return inputs[0];
  throw_node_error(node, "inputs are " + shape_text(inputs[0]) + " and " + shape_text(inputs[1]));
}

SampleShape concat_shape(const Node& node, const InputShapes& inputs, const GraphLimits& limits) {
  SampleShape out = inputs[0];
  const std::size_t axis = checked_axis(node, out);
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    SampleShape expected = out;
    if (inputs[i].size() == out.size()) expected[axis] = inputs[i][axis];
    if (inputs[i] != expected || out[axis] > limits.max_dimension) {
      throw_node_error(node, "cannot join " + shape_text(inputs[i]) + " to " + shape_text(out) +
                                 " along axis " + std::to_string(axis));
    }
    out[axis] += inputs[i][axis];
  }
  return out;
}

SampleShape slice_shape(const Node& node, SampleShape in) {
  const std::size_t axis = checked_axis(node, in);
  const auto [begin, end] = std::pair(node.attributes.begin, node.attributes.end);
  if (begin < 0 || begin >= end || end > in[axis]) {
    throw_node_error(node, "range [" + std::to_string(begin) + ", " + std::to_string(end) +
                               ") does not fit input " + shape_text(in));
  }
  in[axis] = end - begin;
  return in;
}

SampleShape reshape_shape(const Node& node, const SampleShape& in, const GraphLimits& limits) {
  const SampleShape& out = node.attributes.shape;
  if (checked_product(node, in, limits) == checked_product(node, out, limits)) return out;
  throw_node_error(node, "input " + shape_text(in) + " cannot become " + shape_text(out));
}

SampleShape upsample_shape(const Node& node, const SampleShape& in) {
  require_rank(node, in, 3);
  const std::int64_t scale = node.attributes.scale;
  return {in[0], in[1] * scale, in[2] * scale};
}

SampleShape unchecked_shape(const Node& node, const InputShapes& inputs,
                            const GraphLimits& limits) {
  switch (node.op) {
    case Op::kInput:
      return node.attributes.shape;
    case Op::kConv2d:
      return conv_shape(node, inputs[0], limits);
    case Op::kLinear:
      require_rank(node, inputs[0], 1);
      return {node.attributes.out_features};
    case Op::kBatchNorm:
      if (inputs[0].empty()) throw_node_error(node, "input has no channels");
      return inputs[0];
    case Op::kMaxPool:
    case Op::kAveragePool:
      return pool_shape(node, inputs[0], limits);
    case Op::kGlobalAveragePool:
      require_rank(node, inputs[0], 3);
      return {inputs[0][0]};
    case Op::kAdd:
    case Op::kMul:
      return elementwise_shape(node, inputs);
    case Op::kConcat:
      return concat_shape(node, inputs, limits);
    case Op::kSlice:
      return slice_shape(node, inputs[0]);
    case Op::kFlatten:
      return {checked_product(node, inputs[0], limits)};
    case Op::kReshape:
      return reshape_shape(node, inputs[0], limits);
    case Op::kUpsample:
      return upsample_shape(node, inputs[0]);
    case Op::kSoftmax:
      checked_axis(node, inputs[0]);
      return inputs[0];
    case Op::kReLU:
    case Op::kClip:
    case Op::kLeakyReLU:
    case Op::kHardSwish:
    case Op::kHardSigmoid:
    case Op::kSigmoid:
    case Op::kTanh:
    case Op::kDropout:
      return inputs[0];
  }
  throw_node_error(node, "unknown operator");
}

}  // namespace

SampleShape node_shape(const Node& node, const InputShapes& inputs, const GraphLimits& limits) {
  check_attributes(node, limits);
  check_arity(node, inputs.size());
  for (const SampleShape& shape : inputs) checked_product(node, shape, limits);
  SampleShape shape = unchecked_shape(node, inputs, limits);
  checked_product(node, shape, limits);
  return shape;
}

SampleShape padded_input(const Node& node, const SampleShape& input) {
  const auto [y, x] = node.attributes.padding;
  return {input[0], input[1] + 2 * y, input[2] + 2 * x};
}

std::vector<ParameterShape> parameter_shapes(const Node& node, const SampleShape& input) {
  const Attributes& a = node.attributes;
  if (node.op == Op::kConv2d) {
    return {{"weight", {a.out_features, input[0] / a.groups, a.kernel[0], a.kernel[1]}},
            {"bias", {a.out_features}}};
  }
  if (node.op == Op::kLinear) {
    return {{"weight", {a.out_features, input[0]}}, {"bias", {a.out_features}}};
  }
  if (node.op == Op::kBatchNorm) {
    const std::vector<std::int64_t> channels{input[0]};
    return {{"weight", channels},
            {"bias", channels},
            {"running_mean", channels},
            {"running_var", channels}};
  }
  return {};
}

}  // namespace fedstill
