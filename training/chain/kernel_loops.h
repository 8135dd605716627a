#pragma once

// Every kernels_*.cpp includes these loops and is compiled for its own instruction set, hence the
// internal linkage: a copy made for one processor must never be linked into another's table. For
// the same reason nothing of the standard library may be called here.

#include <cstdint>

#include "training/chain/kernels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// One panel; the compiler takes as many registers as the instruction set needs for it.
using Panel = float __attribute__((vector_size(64)));
using LoosePanel = float __attribute__((vector_size(64), aligned(4), may_alias));
using Places = std::int32_t __attribute__((vector_size(64)));
using LoosePlaces = std::int32_t __attribute__((vector_size(64), aligned(4), may_alias));

inline Panel load(const float* from) { return *reinterpret_cast<const LoosePanel*>(from); }
inline void store(float* to, const Panel& value) { *reinterpret_cast<LoosePanel*>(to) = value; }
inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

inline float total(const Panel& panel) {
  float half[8];
  for (int i = 0; i < 8; ++i) half[i] = panel[i] + panel[i + 8];
  for (int n = 4; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) half[i] += half[i + n];
  }
  return half[0];
}

// Inputs are taken in blocks that leave room in the first-level cache for all rows of the batch.
constexpr std::int64_t kForwardBlock = 512, kBackwardBlock = 256;

template <int kOut, int kRows>
void dot_tile(const float* x, std::int64_t x_stride, const float* w, std::int64_t w_stride,
              std::int64_t count, float* out, std::int64_t out_stride) {
  Panel sums[kOut][kRows] = {};
  for (std::int64_t i = 0; i < count; i += kPanel) {
    Panel weights[kOut];
    for (int o = 0; o < kOut; ++o) weights[o] = load(w + o * w_stride + i);
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
