#pragma once

// What goes over numbers one by one, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

inline void add_loop(float scale, const float* x, float* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] += scale * x[i];
}

inline void normalise_loop(const std::uint8_t* x, std::int64_t count, float mean, float scale,
                           float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = (static_cast<float>(x[i]) - mean) * scale;
}

// Adding 1.5 · 2^16 leaves 36 bits behind the point: what is below is rounded, half to even.
inline bool add_exactly_loop(double weight, const float* x, double* sums, std::int64_t count) {
  constexpr double kRounder = 98304.0, kLimit = 32768.0;
  std::int64_t outside = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double product = static_cast<double>(x[i]) * weight;
    outside |= static_cast<std::int64_t>(!(product < kLimit && product > -kLimit));
    const double shifted = product + kRounder;
    sums[i] += shifted - kRounder;
  }
  return outside == 0;
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
