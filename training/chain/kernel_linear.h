#pragma once

// Linear layers, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// Inputs are taken in blocks that leave room in the first-level cache for all rows of the batch.
constexpr std::int64_t kForwardBlock = 512, kBackwardBlock = 256;

// What the next tile reads, kOut rows further down: too far apart for a processor to foresee.
template <int kOut>
void prefetch_below(const float* w, std::int64_t stride) {
  for (int o = 0; o < kOut; ++o) __builtin_prefetch(w + (kOut + o) * stride);
}

template <int kOut, int kRows>
void dot_tile(const float* x, std::int64_t x_stride, const float* w, std::int64_t w_stride,
              std::int64_t count, float* out, std::int64_t out_stride) {
  Panel sums[kOut][kRows] = {};
  for (std::int64_t i = 0; i < count; i += kPanel) {
    Panel weights[kOut];
    for (int o = 0; o < kOut; ++o) weights[o] = load(w + o * w_stride + i);
    prefetch_below<kOut>(w + i, w_stride);
    for (int r = 0; r < kRows; ++r) {
      const Panel values = load(x + r * x_stride + i);
      for (int o = 0; o < kOut; ++o) sums[o][r] += values * weights[o];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOut; ++o) out[r * out_stride + o] += total(sums[o][r]);
  }
}

template <int kOut, int kRows>
void dot_rows(const LinearPart& part, std::int64_t o, std::int64_t first, std::int64_t count,
              float* out, std::int64_t out_stride) {
  const float* const w = part.w + o * part.in + first;
  std::int64_t r = 0;
  for (; r + kRows <= part.rows; r += kRows) {
    dot_tile<kOut, kRows>(part.x + r * part.x_stride + first, part.x_stride, w, part.in, count,
                          out + r * out_stride + o, out_stride);
  }
  for (; r < part.rows; ++r) {
    dot_tile<kOut, 1>(part.x + r * part.x_stride + first, part.x_stride, w, part.in, count,
                      out + r * out_stride + o, out_stride);
  }
}

template <int kOut, int kRows>
void linear_loop(const LinearPart& part, float* out, std::int64_t out_stride) {
  for (std::int64_t first = 0; first < part.in; first += kForwardBlock) {
    const std::int64_t count = smaller(kForwardBlock, part.in - first);
    std::int64_t o = 0;
    for (; o + kOut <= part.out; o += kOut) {
      dot_rows<kOut, kRows>(part, o, first, count, out, out_stride);
    }
    for (; o < part.out; ++o) dot_rows<1, kRows>(part, o, first, count, out, out_stride);
  }
}

// Both products of a linear layer's backward read its weights once.
template <int kOut, bool kInputs>
void linear_back_tile(const LinearPart& part, std::int64_t o, std::int64_t i, const float* d,
                      const float* scaled, std::int64_t d_stride, float* dx) {
  Panel before[kOut], after[kOut];
  for (int j = 0; j < kOut; ++j) after[j] = before[j] = load(part.w + (o + j) * part.in + i);
  prefetch_below<kOut>(part.w + o * part.in + i, part.in);
  for (std::int64_t r = 0; r < part.rows; ++r) {
    const Panel values = load(part.x + r * part.x_stride + i);
    const float* const row = scaled + r * d_stride + o;
    for (int j = 0; j < kOut; ++j) after[j] += values * row[j];
    if constexpr (kInputs) {
      const float* const gradient = d + r * d_stride + o;
      Panel sum = load(dx + r * part.x_stride + i);
      for (int j = 0; j < kOut; ++j) sum += before[j] * gradient[j];
      store(dx + r * part.x_stride + i, sum);
    }
  }
  for (int j = 0; j < kOut; ++j) store(part.w + (o + j) * part.in + i, after[j]);
}

template <int kOut, bool kInputs>
void linear_back_blocks(const LinearPart& part, const float* d, const float* scaled,
                        std::int64_t d_stride, float* dx) {
  for (std::int64_t first = 0; first < part.in; first += kBackwardBlock) {
    const std::int64_t end = smaller(first + kBackwardBlock, part.in);
    std::int64_t o = 0;
    for (; o + kOut <= part.out; o += kOut) {
      for (std::int64_t i = first; i < end; i += kPanel) {
        linear_back_tile<kOut, kInputs>(part, o, i, d, scaled, d_stride, dx);
      }
    }
    for (; o < part.out; ++o) {
      for (std::int64_t i = first; i < end; i += kPanel) {
        linear_back_tile<1, kInputs>(part, o, i, d, scaled, d_stride, dx);
      }
    }
  }
}

template <int kOut>
void linear_back_loop(const LinearPart& part, const float* d, const float* scaled,
                      std::int64_t d_stride, float* dx) {
  if (dx == nullptr) {
    linear_back_blocks<kOut, false>(part, d, scaled, d_stride, dx);
  } else {
    linear_back_blocks<kOut, true>(part, d, scaled, d_stride, dx);
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
