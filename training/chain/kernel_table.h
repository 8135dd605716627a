#pragma once

// The table of one instruction set, as kernel_panels.h says.

#include "training/chain/kernel_bf16.h"
#include "training/chain/kernel_convolve.h"
#include "training/chain/kernel_dense.h"
#include "training/chain/kernel_entries.h"
#include "training/chain/kernel_linear.h"
#include "training/chain/kernel_linear_back.h"
#include "training/chain/kernel_plain.h"
#include "training/chain/kernel_pool.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

template <typename Factors, int kOut, int kRows, int kBack, int kTile>
constexpr Bf16Kernels bf16_kernels_of() {
  return {.native = Factors::kNative,
          .round = round_loop<Factors>,
          .pair = pair_loop<Factors>,
          .linear = linear_loop<Factors, kOut, kRows>,
          .linear_back = linear_back_loop<Factors, kBack>,
          .convolve = convolve_loop<Factors, kTile>};
}

// kOut × kRows sums of a linear layer, kTile positions × two panels of a convolution, and kHeld
// panels of a kernel are what the registers hold; 3 × kTaps × two panels of its gradient too.
template <int kOut, int kRows, int kTile, int kHeld, int kTaps>
constexpr Kernels kernels_of(const char* name) {
  return {.name = name,
          .linear = linear_loop<Floats, kOut, kRows>,
          .linear_back = linear_back_loop<Floats, kOut>,
          .convolve = convolve_loop<Floats, kTile>,
          .pool = pool_loop,
          .gather_dense = gather_dense_loop<3, kTaps>,
          .gather_weights = gather_loop<kHeld>,
          .scatter_inputs = scatter_loop<kHeld>,
          .add = add_loop,
          .normalise = normalise_loop,
          .add_exactly = add_exactly_loop,
          .bf16 = bf16_kernels_of<PlainPairs, kOut, kRows, kOut, kTile>()};
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
