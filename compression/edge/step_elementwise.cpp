#include <algorithm>
#include <array>
#include <cmath>

#include "compression/edge/steps.h"

namespace fedstill {
namespace {

// In double, so that the rounding to a code hides how a machine's exp rounds.
double activation(const Node& node, double x) {
  const Attributes& a = node.attributes;
  const double hard_sigmoid = std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
  if (node.op == Op::kLeakyReLU) return x >= 0.0 ? x : x * a.slope;
  if (node.op == Op::kHardSwish) return x * hard_sigmoid;
  if (node.op == Op::kHardSigmoid) return hard_sigmoid;
  if (node.op == Op::kSigmoid) return 1.0 / (1.0 + std::exp(-x));
  if (node.op == Op::kTanh) return std::tanh(x);
  return x;
}

std::array<std::uint8_t, 256> activation_table(const StepContext& context) {
  const Op op = context.node.op;
  const bool clamps = op == Op::kReLU || op == Op::kClip;
  const CodeRange range =
      clamps ? activation_range(context.node, context.output.scale) : CodeRange{};
  std::array<std::uint8_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto code = static_cast<std::uint8_t>(i);
    const double real = real_value(code, context.inputs[0].scale);
    table[i] = clamps ? std::clamp(code, range.low, range.high)
                      : nearest_code(static_cast<float>(activation(context.node, real)),
                                     context.output.scale);
  }
  return table;
}

}  // namespace

Step make_table_step(const StepContext& context) {
  return [table = activation_table(context), from = context.inputs[0].data,
          to = context.output.data, count = element_count(context.output.shape)] {
    for (std::int64_t i = 0; i < count; ++i) to[i] = table[from[i]];
  };
}

Step make_pair_step(const StepContext& context) {
  const ActivationScale &left = context.inputs[0].scale, &right = context.inputs[1].scale;
  const ActivationScale& out = context.output.scale;
  const PairScales scales{.left_scale = left.scale,
                          .right_scale = right.scale,
                          .output_scale = out.scale,
                          .left_zero = left.zero_point,
                          .right_zero = right.zero_point,
                          .output_zero = out.zero_point,
                          .lowest = static_cast<float>(context.range.low - out.zero_point),
                          .highest = static_cast<float>(context.range.high - out.zero_point)};
  const auto kernel = context.node.op == Op::kAdd ? context.kernels.add : context.kernels.multiply;
  return [=, a = context.inputs[0].data, b = context.inputs[1].data, to = context.output.data,
          count = element_count(context.output.shape)] { kernel(a, b, count, scales, to); };
}

}  // namespace fedstill
