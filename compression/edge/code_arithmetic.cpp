#include "compression/edge/code_arithmetic.h"

#include <algorithm>
#include <cmath>

namespace fedstill {

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
