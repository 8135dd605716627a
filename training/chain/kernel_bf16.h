#pragma once

// Products of pairs of bfloat16, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// A pair of values in each lane, the first in its lower half.
using Pairs = std::uint32_t __attribute__((vector_size(64)));
using LoosePairs = std::uint32_t __attribute__((vector_size(64), aligned(2), may_alias));
using LoosePair = std::uint32_t __attribute__((aligned(2), may_alias));

constexpr std::uint32_t kUpper = 0xFFFF0000U;

// To the nearest, half to even, in the upper half; a NaN would become an infinity or zero.
inline Pairs rounded(const Panel& values) {
  const Pairs bits = reinterpret_cast<Pairs>(values);
  const Pairs sum = bits + 0x7FFFU + ((bits >> 16U) & 1U);
  const Pairs quiet = bits | 0x00400000U;
  return (values == values ? sum : quiet) & kUpper;
}

// As Floats, in float32 arithmetic on rounded values.
struct PlainPairs {
  using Value = Bf16;
  static constexpr std::int64_t kDepth = 2;
  static constexpr bool kNative = false;

  static Pairs lanes(const Bf16* from) { return *reinterpret_cast<const LoosePairs*>(from); }
  static Pairs one(const Bf16* from) { return Pairs{} + *reinterpret_cast<const LoosePair*>(from); }
  static Pairs neighbours(const float* from) {
    Panel rows[2];
    for (int i = 0; i < kPanel; ++i) {
      rows[0][i] = from[2 * i];
      rows[1][i] = from[2 * i + 1];
    }
    return across(rows);
  }
  static Pairs across(const Panel* rows) { return rounded(rows[0]) >> 16U | rounded(rows[1]); }
  static void add(Panel& sum, const Pairs& a, const Pairs& b) {
    sum += part(a & kUpper) * part(b & kUpper);
    sum += part(a << 16U) * part(b << 16U);
  }
  static Panel part(const Pairs& bits) { return reinterpret_cast<Panel>(bits); }
};

template <typename Factors>
void round_loop(const float* x, std::int64_t count, Bf16* to) {
  std::int64_t i = 0;
  for (; i + 2 * kPanel <= count; i += 2 * kPanel) {
    *reinterpret_cast<LoosePairs*>(to + i) = Factors::neighbours(x + i);
  }
  float rest[2 * kPanel] = {};
  for (std::int64_t j = i; j < count; ++j) rest[j - i] = x[j];
  const Pairs last = Factors::neighbours(rest);
  for (std::int64_t j = 0; i + j < count; ++j) {
    to[i + j] = static_cast<Bf16>(last[j / 2] >> (j % 2 == 0 ? 0U : 16U) & 0xFFFFU);
  }
}

template <typename Factors>
void pair_loop(const float* a, const float* b, std::int64_t count, Bf16* to) {
  for (std::int64_t i = 0; i < count; i += kPanel) {
    const Panel rows[2] = {load(a + i), b == nullptr ? Panel{} : load(b + i)};
    *reinterpret_cast<LoosePairs*>(to + 2 * i) = Factors::across(rows);
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
