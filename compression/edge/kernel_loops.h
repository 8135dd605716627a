#pragma once

// The loops that the compiler vectorises by itself. Every kernels_*.cpp includes them and is
// compiled for its own instruction set, hence the internal linkage: a copy made for one processor
// must never be linked into another's table. For the same reason nothing of the standard library
// with external linkage may be called here.

#include <cstdint>
#include <cstring>

#include "compression/edge/kernels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill {
namespace {

// Adding 1.5·2^23 leaves the value, rounded half to even, in the low bits of the mantissa. Unlike
// nearbyint this vectorises everywhere. A NaN becomes the lowest code.
inline std::uint8_t to_code(float value, float lowest, float highest, std::int32_t zero_point) {
  value = value > lowest ? value : lowest;
  value = value < highest ? value : highest;
  value += 12582912.0F;
  std::int32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint8_t>(bits - 0x4B400000 + zero_point);
}

void depthwise_loop(const std::uint8_t* input, const std::int32_t* offsets, std::int64_t taps,
                    const std::int8_t* weights, std::int64_t channels, std::int32_t* sums) {
  for (std::int64_t first = 0; first < channels; first += kPanel) {
    std::int32_t partial[kPanel] = {};
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      const std::uint8_t* x = input + offsets[tap] + first;
      const std::int8_t* w = weights + tap * channels + first;
      for (int c = 0; c < kPanel; ++c) {
        partial[c] += static_cast<std::int32_t>(x[c]) * static_cast<std::int32_t>(w[c]);
      }
    }
    std::memcpy(sums + first, partial, sizeof partial);
  }
}

void requantize_loop(const std::int32_t* sums, std::int64_t count, const Requantization& to,
                     std::uint8_t* out) {
  const Requantization r = to;
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = to_code(static_cast<float>(sums[i] + r.bias[i]) * r.multiplier[i], r.lowest, r.highest,
                     r.zero_point);
  }
}

void quantize_loop(const float* values, std::int64_t count, float scale, std::int32_t zero_point,
                   std::uint8_t* out) {
  const auto lowest = static_cast<float>(-zero_point);
  const auto highest = static_cast<float>(255 - zero_point);
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = to_code(values[i] / scale, lowest, highest, zero_point);
  }
}

void maximum_loop(const std::uint8_t* values, std::int64_t count, std::uint8_t* best) {
  for (std::int64_t i = 0; i < count; ++i) best[i] = best[i] < values[i] ? values[i] : best[i];
}

void accumulate_loop(const std::uint8_t* values, std::int64_t count, std::int32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] += values[i];
}

void add_loop(const std::uint8_t* left, const std::uint8_t* right, std::int64_t count,
              const PairScales& scales, std::uint8_t* out) {
  const PairScales s = scales;
  for (std::int64_t i = 0; i < count; ++i) {
    const float sum = static_cast<float>(left[i] - s.left_zero) * s.left_scale +
                      static_cast<float>(right[i] - s.right_zero) * s.right_scale;
    out[i] = to_code(sum / s.output_scale, s.lowest, s.highest, s.output_zero);
  }
}

void multiply_loop(const std::uint8_t* left, const std::uint8_t* right, std::int64_t count,
                   const PairScales& scales, std::uint8_t* out) {
  const PairScales s = scales;
  const float multiplier = s.left_scale * s.right_scale / s.output_scale;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t product = (left[i] - s.left_zero) * (right[i] - s.right_zero);
    out[i] = to_code(static_cast<float>(product) * multiplier, s.lowest, s.highest, s.output_zero);
  }
}

}  // namespace
}  // namespace fedstill
// NOLINTEND(misc-definitions-in-headers)
