#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include "model/graph.h"

namespace fedstill {

// The first tensor that holds a NaN or an infinity, or nothing. Requires: all of them are F32.
inline std::string_view find_not_finite(const Graph& graph) {
  for (const auto& [name, tensor] : graph.tensors) {
    const auto is_finite = [](float value) { return std::isfinite(value); };
    if (!std::ranges::all_of(tensor.values<float>(), is_finite)) return name;
  }
  return {};
}

}  // namespace fedstill
