#pragma once

// Backward of a linear layer, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// Inputs are taken in blocks that leave room in the first-level cache for all rows of the batch.
constexpr std::int64_t kBackwardBlock = 256;

// Both products of a linear layer's backward read its weights once. kDepth rows of x and of scaled
// lie together, value by value.
template <typename Factors, int kOut, bool kInputs>
void linear_back_tile(const LinearPart<typename Factors::Value>& part, std::int64_t o,
                      std::int64_t i, const typename Factors::Value* d,
                      const typename Factors::Value* scaled, std::int64_t d_stride, float* dx) {
  constexpr int kDepth = Factors::kDepth, kGroups = (kOut + kDepth - 1) / kDepth;
  Panel weights[kGroups * kDepth] = {};
  for (int j = 0; j < kOut; ++j) weights[j] = load(part.w + (o + j) * part.in + i);
  prefetch_below<kOut>(part.w + o * part.in + i, part.in);
  decltype(Factors::lanes(d)) before[kGroups];
  for (int g = 0; g < kGroups; ++g) before[g] = Factors::across(weights + g * kDepth);
  for (std::int64_t r = 0; r < part.rows; r += kDepth) {
    const auto values = Factors::lanes(part.x + r * part.x_stride + i * kDepth);
    const auto* const row = scaled + r * d_stride + o * kDepth;
    for (int j = 0; j < kOut; ++j) {
      Factors::add(weights[j], values, Factors::one(row + j * kDepth));
    }
    if constexpr (kInputs) {
      for (std::int64_t s = r; s < smaller(r + kDepth, part.rows); ++s) {
        const auto* const gradient = d + s * d_stride + o;
        Panel sum = load(dx + s * part.x_stride + i);
        for (int g = 0; g < kGroups; ++g) {
          Factors::add(sum, before[g], Factors::one(gradient + g * kDepth));
        }
        store(dx + s * part.x_stride + i, sum);
      }
    }
  }
  for (int j = 0; j < kOut; ++j) store(part.w + (o + j) * part.in + i, weights[j]);
}

template <typename Factors, int kOut, bool kInputs>
void linear_back_blocks(const LinearPart<typename Factors::Value>& part,
                        const typename Factors::Value* d, const typename Factors::Value* scaled,
                        std::int64_t d_stride, float* dx) {
  for (std::int64_t first = 0; first < part.in; first += kBackwardBlock) {
    const std::int64_t end = smaller(first + kBackwardBlock, part.in);
    std::int64_t o = 0;
    for (; o + kOut <= part.out; o += kOut) {
      for (std::int64_t i = first; i < end; i += kPanel) {
        linear_back_tile<Factors, kOut, kInputs>(part, o, i, d, scaled, d_stride, dx);
      }
    }
    for (; o < part.out; ++o) {
      for (std::int64_t i = first; i < end; i += kPanel) {
        linear_back_tile<Factors, 1, kInputs>(part, o, i, d, scaled, d_stride, dx);
      }
    }
  }
}

template <typename Factors, int kOut>
void linear_back_loop(const LinearPart<typename Factors::Value>& part,
                      const typename Factors::Value* d, const typename Factors::Value* scaled,
                      std::int64_t d_stride, float* dx) {
  if (dx == nullptr) {
    linear_back_blocks<Factors, kOut, false>(part, d, scaled, d_stride, dx);
  } else {
    linear_back_blocks<Factors, kOut, true>(part, d, scaled, d_stride, dx);
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
