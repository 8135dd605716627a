#pragma once

#include <cstdint>
#include <vector>

namespace fedstill {

// The dot kernels work on tiles: kTileRows output positions × one or two panels of kPanel output
// channels, kDepth input values a step.
inline constexpr int kDepth = 4;
inline constexpr int kPanel = 16;
inline constexpr int kTileRows = 8;
inline constexpr int kSlack = 64;  // bytes that kernels may read past the end of a buffer

// How sums become codes: clamp((sum + bias[i]) × multiplier[i], lowest, highest), rounded half to
// even, plus the zero point. The bounds are relative to the zero point.
struct Requantization {
  const std::int32_t* bias;
  const float* multiplier;
  float lowest, highest;
  std::int32_t zero_point;
};

// Two operands and the result of an elementwise operator.
struct PairScales {
  float left_scale, right_scale, output_scale;
  std::int32_t left_zero, right_zero, output_zero;
  float lowest, highest;  // relative to output_zero
};

// sums[row][panel × kPanel + column] = Σ over steps and k of rows[row][offsets[step] + k] ×
// weights[panel][step][column][k]. Unsigned by signed, exact.
using DotKernel = void (*)(const std::uint8_t* const* rows, const std::int32_t* offsets,
                           std::int64_t steps, const std::int8_t* weights, std::int32_t* sums);

// The inner loops for one instruction set. All sets give the same bits.
struct Kernels {
  const char* name;
  DotKernel dot[2][2];  // [0: one row, 1: kTileRows rows][panels − 1]
  // sums[c] = Σ over taps of input[offsets[tap] + c] × weights[tap × channels + c]; channels is a
  // multiple of kPanel.
  void (*depthwise)(const std::uint8_t* input, const std::int32_t* offsets, std::int64_t taps,
                    const std::int8_t* weights, std::int64_t channels, std::int32_t* sums);
  void (*requantize)(const std::int32_t* sums, std::int64_t count, const Requantization& to,
                     std::uint8_t* out);
  void (*quantize)(const float* values, std::int64_t count, float scale, std::int32_t zero_point,
                   std::uint8_t* out);
  void (*maximum)(const std::uint8_t* values, std::int64_t count, std::uint8_t* best);
  void (*accumulate)(const std::uint8_t* values, std::int64_t count, std::int32_t* sums);
  void (*add)(const std::uint8_t* left, const std::uint8_t* right, std::int64_t count,
              const PairScales& scales, std::uint8_t* out);
  void (*multiply)(const std::uint8_t* left, const std::uint8_t* right, std::int64_t count,
                   const PairScales& scales, std::uint8_t* out);
};

// What this processor can run, plain C++ first, the fastest last.
std::vector<const Kernels*> available_kernels();

extern const Kernels kPortableKernels;
std::vector<const Kernels*> machine_kernels();  // the ones for this processor family, slowest first

}  // namespace fedstill
