#pragma once

// Forward of a linear layer, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// Inputs are taken in blocks that leave room in the first-level cache for all rows of the batch.
constexpr std::int64_t kForwardBlock = 512;

template <typename Factors, int kOut, int kRows>
void dot_tile(const typename Factors::Value* x, std::int64_t x_stride, const float* w,
              std::int64_t w_stride, std::int64_t count, float* out, std::int64_t out_stride) {
  Panel sums[kOut][kRows] = {};
  for (std::int64_t i = 0; i < count; i += Factors::kDepth * kPanel) {
    decltype(Factors::lanes(x)) weights[kOut];
    for (int o = 0; o < kOut; ++o) weights[o] = Factors::neighbours(w + o * w_stride + i);
    for (int k = 0; k < Factors::kDepth; ++k) {
      prefetch_below<kOut>(w + i + k * kPanel, w_stride);
    }
    for (int r = 0; r < kRows; ++r) {
      const auto values = Factors::lanes(x + r * x_stride + i);
      for (int o = 0; o < kOut; ++o) Factors::add(sums[o][r], values, weights[o]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOut; ++o) out[r * out_stride + o] += total(sums[o][r]);
  }
}

template <typename Factors, int kOut, int kRows>
void dot_rows(const LinearPart<typename Factors::Value>& part, std::int64_t o, std::int64_t first,
              std::int64_t count, float* out, std::int64_t out_stride) {
  const float* const w = part.w + o * part.in + first;
  std::int64_t r = 0;
  for (; r + kRows <= part.rows; r += kRows) {
    dot_tile<Factors, kOut, kRows>(part.x + r * part.x_stride + first, part.x_stride, w, part.in,
                                   count, out + r * out_stride + o, out_stride);
  }
  for (; r < part.rows; ++r) {
    dot_tile<Factors, kOut, 1>(part.x + r * part.x_stride + first, part.x_stride, w, part.in, count,
                               out + r * out_stride + o, out_stride);
  }
}

template <typename Factors, int kOut, int kRows>
void linear_loop(const LinearPart<typename Factors::Value>& part, float* out,
                 std::int64_t out_stride) {
  for (std::int64_t first = 0; first < part.in; first += kForwardBlock) {
    const std::int64_t count = smaller(kForwardBlock, part.in - first);
    std::int64_t o = 0;
    for (; o + kOut <= part.out; o += kOut) {
      dot_rows<Factors, kOut, kRows>(part, o, first, count, out, out_stride);
    }
    for (; o < part.out; ++o) dot_rows<Factors, 1, kRows>(part, o, first, count, out, out_stride);
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
