#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "model/shapes.h"

namespace fedstill {
namespace {

// Window arithmetic multiplies two attributes; within 31 bits it cannot overflow, whatever limits
// the caller sets.
std::int64_t largest_dimension(const GraphLimits& limits) {
  return std::min(limits.max_dimension, (std::int64_t{1} << 31) - 1);
}

void require(const Node& node, bool holds, const char* what) {
  if (!holds) throw_node_error(node, what);
}

void check_range(const Node& node, const char* what, std::int64_t value, std::int64_t low,
                 std::int64_t high) {
  if (value >= low && value <= high) return;
  throw_node_error(node, std::string(what) + " is " + std::to_string(value) + ", expected " +
                             std::to_string(low) + " to " + std::to_string(high));
}

void check_window(const Node& node, const GraphLimits& limits) {
  const std::int64_t largest = largest_dimension(limits);
  const Attributes& a = node.attributes;
  for (std::size_t i = 0; i < 2; ++i) {
    check_range(node, "kernel", a.kernel[i], 1, largest);
    check_range(node, "stride", a.stride[i], 1, largest);
    check_range(node, "padding", a.padding[i], 0, largest);
  }
}

void check_conv(const Node& node, const GraphLimits& limits) {
  const std::int64_t largest = largest_dimension(limits);
  const Attributes& a = node.attributes;
  check_window(node, limits);
  for (const std::int64_t dilation : a.dilation)
    check_range(node, "dilation", dilation, 1, largest);
  // oneDNN (3.10) reads beyond its input where a window lies in the padding as a whole.
  for (std::size_t i = 0; i < 2; ++i) {
    require(node, a.padding[i] <= a.dilation[i] * (a.kernel[i] - 1),
            "padding holds whole windows: expected at most dilation x (kernel - 1)");
  }
  check_range(node, "groups", a.groups, 1, largest);
  check_range(node, "out_features", a.out_features, 1, largest);
  require(node, a.out_features % a.groups == 0, "out_features is not a multiple of groups");
}

void check_pool(const Node& node, const GraphLimits& limits) {
  check_window(node, limits);
  const Attributes& a = node.attributes;
  for (std::size_t i = 0; i < 2; ++i) {
    require(node, a.padding[i] <= a.kernel[i] / 2, "padding is more than half of the kernel");
  }
}

void check_shape(const Node& node, const GraphLimits& limits) {
  constexpr std::size_t kMaxRank = 4;
  const SampleShape& shape = node.attributes.shape;
  require(node, shape.size() <= kMaxRank, "shape has more than 4 dimensions");
  for (const std::int64_t size : shape) {
    check_range(node, "size", size, 1, largest_dimension(limits));
  }
}

}  // namespace

void throw_node_error(const Node& node, const std::string& what) {
  throw std::invalid_argument("[graph] node '" + node.name + "' (" + std::string(op_name(node.op)) +
                              "): " + what);
}

void check_attributes(const Node& node, const GraphLimits& limits) {
  const Attributes& a = node.attributes;
  switch (node.op) {
    case Op::kConv2d:
      return check_conv(node, limits);
    case Op::kLinear:
      return check_range(node, "out_features", a.out_features, 1, largest_dimension(limits));
    case Op::kMaxPool:
    case Op::kAveragePool:
      return check_pool(node, limits);
    case Op::kInput:
    case Op::kReshape:
      return check_shape(node, limits);
    case Op::kBatchNorm:
      return require(node, std::isfinite(a.epsilon) && a.epsilon > 0.0F, "epsilon is not positive");
    case Op::kClip:
      return require(node, std::isfinite(a.low) && std::isfinite(a.high) && a.low <= a.high,
                     "the bounds are not two finite numbers in order");
    case Op::kLeakyReLU:
      return require(node, std::isfinite(a.slope), "slope is not finite");
    case Op::kDropout:
      return require(node, a.rate >= 0.0F && a.rate < 1.0F, "rate is not within [0, 1)");
    case Op::kUpsample:
      return check_range(node, "scale", a.scale, 1, largest_dimension(limits));
    case Op::kConcat:
    case Op::kSlice:
    case Op::kSoftmax:  // their ranges depend on the input: node_shape() checks them
    case Op::kReLU:
    case Op::kHardSwish:
    case Op::kHardSigmoid:
    case Op::kSigmoid:
    case Op::kTanh:
    case Op::kGlobalAveragePool:
    case Op::kAdd:
    case Op::kMul:
    case Op::kFlatten:
      return;
  }
}

}  // namespace fedstill
