#pragma once

// Every kernels_*.cpp includes the kernel_*.h and is compiled for its own instruction set, hence
// the internal linkage: a copy made for one processor must never be linked into another's table.
// For the same reason nothing of the standard library may be called in them.

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

// What products are made of: each lane multiplies kDepth values and adds them to its sum.
struct Floats {
  using Value = float;
  static constexpr std::int64_t kDepth = 1;

  static Panel lanes(const float* from) { return load(from); }  // own values for each lane
  static float one(const float* from) { return *from; }         // the same for all
  // Floats rounded to Value: kDepth neighbours for a lane, or a lane of kDepth rows.
  static Panel neighbours(const float* from) { return load(from); }
  static Panel across(const Panel* rows) { return *rows; }
  static void add(Panel& sum, const Panel& a, const Panel& b) { sum += a * b; }
  static void add(Panel& sum, const Panel& a, float b) { sum += a * b; }
};

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Weights that the next tile reads, kOut rows further down: too far apart for a processor to
// foresee.
template <int kOut>
void prefetch_below(const float* w, std::int64_t stride) {
  for (int o = 0; o < kOut; ++o) __builtin_prefetch(w + (kOut + o) * stride);
}

inline float total(const Panel& panel) {
  float half[8];
  for (int i = 0; i < 8; ++i) half[i] = panel[i] + panel[i + 8];
  for (int n = 4; n > 0; n /= 2) {
    for (int i = 0; i < n; ++i) half[i] += half[i + n];
  }
  return half[0];
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
