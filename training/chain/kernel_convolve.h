#pragma once

// Forward of a convolution, as kernel_panels.h says.

#include <utility>

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// Output channels lie across a register, so that one input value serves a panel of them.
template <typename Factors, int kPositions, int kPanels>
void convolve_tile(const ConvRow<typename Factors::Value>& row, std::int64_t first,
                   const typename Factors::Value* weights, const float* bias, float* out) {
  using Value = typename Factors::Value;
  constexpr std::int64_t kDepth = Factors::kDepth;
  const std::int64_t step = row.step;
  const std::int64_t panel =
      row.kernel_rows * ((row.kernel_row + kDepth - 1) / kDepth) * kDepth * kPanel;
  Panel sums[kPositions][kPanels];
  for (int v = 0; v < kPanels; ++v) {
    for (int p = 0; p < kPositions; ++p) sums[p][v] = load(bias + v * kPanel);
  }
  const Value* w = weights;
  for (std::int64_t ky = 0; ky < row.kernel_rows; ++ky) {
    const Value* const x = row.x + ky * row.row + first * step;
    // Three positions share a pointer: more pointers than registers would spill.
    const Value* bases[(kPositions + 2) / 3];
    for (int p = 0; p < kPositions; p += 3) bases[p / 3] = x + p * step;
    for (std::int64_t k = 0; k < row.kernel_row; k += kDepth, w += kDepth * kPanel) {
      decltype(Factors::lanes(w)) column[kPanels];
      for (int v = 0; v < kPanels; ++v) column[v] = Factors::lanes(w + v * panel);
      for (int p = 0; p < kPositions; ++p) {
        const auto value = Factors::one(bases[p / 3] + (p % 3) * step + k);
        for (int v = 0; v < kPanels; ++v) Factors::add(sums[p][v], column[v], value);
      }
    }
  }
  for (int p = 0; p < kPositions; ++p) {
    for (int v = 0; v < kPanels; ++v) {
      store(out + ((first + p) * kPanels + v) * kPanel, sums[p][v]);
    }
  }
}

template <typename Value>
using ConvolveTile = void (*)(const ConvRow<Value>&, std::int64_t, const Value*, const float*,
                              float*);
template <typename Factors, int kPanels, int... kSizes>
ConvolveTile<typename Factors::Value> convolve_tile_of(int positions,
                                                       std::integer_sequence<int, kSizes...>) {
  static constexpr ConvolveTile<typename Factors::Value> kTiles[] = {
      convolve_tile<Factors, kSizes + 1, kPanels>...};
  return kTiles[positions - 1];
}

// A row is cut into tiles of one size; the last one may do a few positions again.
template <typename Factors, int kTile, int kPanels>
void convolve_panels(const ConvRow<typename Factors::Value>& row,
                     const typename Factors::Value* weights, const float* bias, float* out) {
  const std::int64_t tiles = (row.positions + kTile - 1) / kTile;
  const std::int64_t size = (row.positions + tiles - 1) / tiles;
  const auto run = convolve_tile_of<Factors, kPanels>(static_cast<int>(size),
                                                      std::make_integer_sequence<int, kTile>());
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    run(row, smaller(tile * size, row.positions - size), weights, bias, out);
  }
}

template <typename Factors, int kTile>
void convolve_loop(const ConvRow<typename Factors::Value>& row,
                   const typename Factors::Value* weights, const float* bias, std::int64_t panels,
                   float* out) {
  if (panels == 2) {
    convolve_panels<Factors, kTile, 2>(row, weights, bias, out);
  } else {
    convolve_panels<Factors, kTile, 1>(row, weights, bias, out);
  }
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
