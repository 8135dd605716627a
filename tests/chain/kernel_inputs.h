#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/random.h"

namespace fedstill::chain {

inline std::vector<float> random_floats(std::int64_t count, std::uint64_t key) {
  std::vector<float> v(static_cast<std::size_t>(count));
  fill_normal(v, key, 1.0F);
  return v;
}

// In a matrix of rows of that width.
inline std::size_t cell(std::int64_t row, std::int64_t width, std::int64_t column) {
  return static_cast<std::size_t>(row * width + column);
}

// Rows, inputs, outputs of linear layers: with and without what a panel leaves over.
constexpr std::array<std::array<std::int64_t, 3>, 5> kLinearShapes{
    {{10, 784, 10}, {1, 16, 1}, {7, 1040, 13}, {3, 32, 4}, {12, 512, 5}}};

}  // namespace fedstill::chain
