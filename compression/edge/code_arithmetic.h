#pragma once

#include <cstdint>

#include "model/quantized_graph.h"

namespace fedstill {

std::uint8_t nearest_code(float value, const ActivationScale& scale);  // QuantizeLinear
float real_value(std::uint8_t code, const ActivationScale& scale);

struct CodeRange {
  std::uint8_t low = 0, high = 255;
};
// The codes that a ReLU or Clip at this scale may give.
CodeRange activation_range(const Node& activation, const ActivationScale& scale);

}  // namespace fedstill
