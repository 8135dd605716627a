#pragma once

// The loops of convolutions, for kernels_*.cpp as kernel_loops.h says.

#include <utility>

#include "training/chain/kernel_loops.h"

// NOLINTBEGIN(misc-definitions-in-headers)
namespace fedstill::chain {
namespace {

// Output channels lie across a register, so that one input value serves a panel of them.
template <int kPositions, int kPanels>
void convolve_tile(const ConvRow& row, std::int64_t first, const float* weights, const float* bias,
                   float* out) {
  const std::int64_t step = row.step, panel = row.kernel_rows * row.kernel_row * kPanel;
  Panel sums[kPositions][kPanels];
  for (int v = 0; v < kPanels; ++v) {
    for (int p = 0; p < kPositions; ++p) sums[p][v] = load(bias + v * kPanel);
  }
  const float* w = weights;
  for (std::int64_t ky = 0; ky < row.kernel_rows; ++ky) {
    const float* const x = row.x + ky * row.row + first * step;
    // Three positions share a pointer: more pointers than registers would spill.
    const float* bases[(kPositions + 2) / 3];
    for (int p = 0; p < kPositions; p += 3) bases[p / 3] = x + p * step;
    for (std::int64_t k = 0; k < row.kernel_row; ++k, w += kPanel) {
      Panel column[kPanels];
      for (int v = 0; v < kPanels; ++v) column[v] = load(w + v * panel);
      for (int p = 0; p < kPositions; ++p) {
        const float value = bases[p / 3][(p % 3) * step + k];
        for (int v = 0; v < kPanels; ++v) sums[p][v] += column[v] * value;
      }
    }
  }
  for (int p = 0; p < kPositions; ++p) {
    for (int v = 0; v < kPanels; ++v) {
      store(out + ((first + p) * kPanels + v) * kPanel, sums[p][v]);
    }
  }
}

using ConvolveTile = void (*)(const ConvRow&, std::int64_t, const float*, const float*, float*);
template <int kPanels, int... kSizes>
ConvolveTile convolve_tile_of(int positions, std::integer_sequence<int, kSizes...>) {
  static constexpr ConvolveTile tiles[] = {convolve_tile<kSizes + 1, kPanels>...};
  return tiles[positions - 1];
}

// A row is cut into tiles of one size; the last one may do a few positions again.
template <int kTile, int kPanels>
void convolve_panels(const ConvRow& row, const float* weights, const float* bias, float* out) {
  const std::int64_t tiles = (row.positions + kTile - 1) / kTile;
  const std::int64_t size = (row.positions + tiles - 1) / tiles;
  const ConvolveTile run =
      convolve_tile_of<kPanels>(static_cast<int>(size), std::make_integer_sequence<int, kTile>());
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    run(row, smaller(tile * size, row.positions - size), weights, bias, out);
  }
}

template <int kTile>
void convolve_loop(const ConvRow& row, const float* weights, const float* bias, std::int64_t panels,
                   float* out) {
  if (panels == 2) {
    convolve_panels<kTile, 2>(row, weights, bias, out);
  } else {
    convolve_panels<kTile, 1>(row, weights, bias, out);
  }
}

inline void keep(float* best, std::int32_t* winners, const Panel& values, const Places& places,
                 std::int64_t count) {
  if (count >= kPanel) {
    store(best, values);
    *reinterpret_cast<LoosePlaces*>(winners) = places;
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    best[i] = values[i];
    winners[i] = places[i];
  }
}

inline void pool_loop(const PoolRow& row, std::int64_t channels, std::int64_t stride, float* best,
                      std::int32_t* winners) {
  const std::int64_t line = row.positions * row.lanes;
  const Panel zero{};
  for (std::int64_t window = 0; window < row.pooled; ++window) {
    for (std::int64_t first = 0; first < channels; first += kPanel) {
      const float* const corner = row.values + window * row.size * row.lanes + first;
      const auto begin = static_cast<std::int32_t>(row.offset + window * row.size * row.step);
      Panel most = load(corner);
      Places place = Places{} + begin;
      for (std::int64_t y = 0; y < row.size; ++y) {
        for (std::int64_t x = 0; x < row.size; ++x) {
          const Panel values = load(corner + y * line + x * row.lanes);
          const Places here =
              Places{} + static_cast<std::int32_t>(begin + y * row.row + x * row.step);
          const auto greater = values > most;
          most = greater ? values : most;
          place = greater ? here : place;
        }
      }
      if (row.rectify) most = most > zero ? most : zero;
      keep(best + window * stride + first, winners + window * stride + first, most, place,
           channels - first);
    }
  }
}

// d where y is above zero; y may be null.
inline Panel passed(const float* d, const float* y) {
  const Panel gradient = load(d), zero{};
  if (y == nullptr) return gradient;
  return load(y) > zero ? gradient : zero;
}

struct Dense {
  const ConvRow& row;
  const float *d, *y;
  std::int64_t d_stride;
  float* gradient;

  // The gradient of kRows × kTaps entries of the kernel stays in registers while the positions
  // pass.
  template <int kRows, int kTaps, int kPanels>
  void run(std::int64_t ky, std::int64_t tap) const {
    const std::int64_t panel = row.kernel_rows * row.kernel_row * kPanel;
    const auto place = [&](int r, int t, int v) {
      return gradient + v * panel + ((ky + r) * row.kernel_row + tap + t) * kPanel;
    };
    Panel sums[kRows][kTaps][kPanels];
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTaps; ++t) {
        for (int v = 0; v < kPanels; ++v) sums[r][t][v] = load(place(r, t, v));
      }
    }
    const float* x = row.x + ky * row.row + tap;
    for (std::int64_t p = 0; p < row.positions; ++p, x += row.step) {
      Panel gradients[kPanels];
      for (int v = 0; v < kPanels; ++v) {
        const std::int64_t at = p * d_stride + v * kPanel;
        gradients[v] = passed(d + at, y == nullptr ? nullptr : y + at);
      }
      for (int r = 0; r < kRows; ++r) {
        for (int t = 0; t < kTaps; ++t) {
          const float value = x[r * row.row + t];
          for (int v = 0; v < kPanels; ++v) sums[r][t][v] += gradients[v] * value;
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTaps; ++t) {
        for (int v = 0; v < kPanels; ++v) store(place(r, t, v), sums[r][t][v]);
      }
    }
  }

  template <int kRows, int kTaps, int kPanels>
  void run_rows() const {
    std::int64_t ky = 0;
    for (; ky + kRows <= row.kernel_rows; ky += kRows) {
      std::int64_t tap = 0;
      for (; tap + kTaps <= row.kernel_row; tap += kTaps) run<kRows, kTaps, kPanels>(ky, tap);
      for (; tap < row.kernel_row; ++tap) run<kRows, 1, kPanels>(ky, tap);
    }
    for (; ky < row.kernel_rows; ++ky) {
      for (std::int64_t tap = 0; tap < row.kernel_row; ++tap) run<1, 1, kPanels>(ky, tap);
    }
  }
};

// kRows × kTaps × two panels of sums are what the registers hold.
template <int kRows, int kTaps>
void gather_dense_loop(const ConvRow& row, const float* d, const float* y, std::int64_t d_stride,
                       std::int64_t panels, float* gradient, float* bias) {
  for (std::int64_t v = 0; v < panels; ++v) {
    Panel sum = load(bias + v * kPanel);
    for (std::int64_t p = 0; p < row.positions; ++p) {
      const std::int64_t at = p * d_stride + v * kPanel;
      sum += passed(d + at, y == nullptr ? nullptr : y + at);
    }
    store(bias + v * kPanel, sum);
  }
  const Dense dense{row, d, y, d_stride, gradient};
  if (panels == 2) {
    dense.run_rows<kRows, kTaps, 2>();
  } else {
    dense.run_rows<kRows, kTaps, 1>();
  }
}

// The kernel's gradient stays in registers while the entries pass.
template <int kRows, int kPanels>
void gather_block(const Entries& entries, const float* image, std::int64_t row, float* gradient,
                  std::int64_t gradient_row) {
  Panel sums[kRows][kPanels];
  for (int y = 0; y < kRows; ++y) {
    for (int p = 0; p < kPanels; ++p) sums[y][p] = load(gradient + y * gradient_row + p * kPanel);
  }
  for (std::int64_t e = 0; e < entries.count; ++e) {
    const float* const x = image + entries.offsets[e];
    const float value = entries.values[e];
    for (int y = 0; y < kRows; ++y) {
      for (int p = 0; p < kPanels; ++p) sums[y][p] += load(x + y * row + p * kPanel) * value;
    }
  }
  for (int y = 0; y < kRows; ++y) {
    for (int p = 0; p < kPanels; ++p) store(gradient + y * gradient_row + p * kPanel, sums[y][p]);
  }
}

// The kernel stays in registers while the entries pass.
template <int kRows, int kPanels>
void scatter_block(const Entries& entries, const float* weights, std::int64_t weights_row,
                   std::int64_t row, float* image_gradient) {
  Panel w[kRows][kPanels];
  for (int y = 0; y < kRows; ++y) {
    for (int p = 0; p < kPanels; ++p) w[y][p] = load(weights + y * weights_row + p * kPanel);
  }
  for (std::int64_t e = 0; e < entries.count; ++e) {
    float* const x = image_gradient + entries.offsets[e];
    const float value = entries.values[e];
    for (int y = 0; y < kRows; ++y) {
      for (int p = 0; p < kPanels; ++p) {
        float* const to = x + y * row + p * kPanel;
        store(to, load(to) + w[y][p] * value);
      }
    }
  }
}

// Calls visit.run<rows, panels>(first row, first panel) over blocks of at most kHeld panels, three
// rows at a time where they fit.
template <int kHeld, int kPanels = 1, typename Visit>
void for_blocks(std::int64_t rows, std::int64_t panels, const Visit& visit) {
  if constexpr (kPanels > kHeld || kPanels > 8) {
    // Wider than what is held: in pieces.
    std::int64_t p = 0;
    constexpr int kMost = kPanels - 1;
    for (; p + kMost <= panels; p += kMost) {
      for (std::int64_t y = 0; y < rows; ++y) visit.template run<1, kMost>(y, p);
    }
    for (; p < panels; ++p) {
      for (std::int64_t y = 0; y < rows; ++y) visit.template run<1, 1>(y, p);
    }
  } else {
    if (panels != kPanels) return for_blocks<kHeld, kPanels + 1>(rows, panels, visit);
    std::int64_t y = 0;
    if constexpr (3 * kPanels <= kHeld) {
      for (; y + 3 <= rows; y += 3) visit.template run<3, kPanels>(y, 0);
    }
    for (; y < rows; ++y) visit.template run<1, kPanels>(y, 0);
  }
}

struct Gather {
  const Entries& entries;
  const float* image;
  std::int64_t row, gradient_row;
  float* gradient;

  template <int kRows, int kPanels>
  void run(std::int64_t y, std::int64_t p) const {
    gather_block<kRows, kPanels>(entries, image + y * row + p * kPanel, row,
                                 gradient + y * gradient_row + p * kPanel, gradient_row);
  }
};

struct Scatter {
  const Entries& entries;
  const float* weights;
  std::int64_t weights_row, row;
  float* image_gradient;

  template <int kRows, int kPanels>
  void run(std::int64_t y, std::int64_t p) const {
    scatter_block<kRows, kPanels>(entries, weights + y * weights_row + p * kPanel, weights_row, row,
                                  image_gradient + y * row + p * kPanel);
  }
};

template <int kHeld>
void gather_loop(const Entries& entries, const float* image, std::int64_t row,
                 std::int64_t kernel_rows, std::int64_t panels, float* gradient) {
  for_blocks<kHeld>(kernel_rows, panels, Gather{entries, image, row, panels * kPanel, gradient});
}

template <int kHeld>
void scatter_loop(const Entries& entries, const float* weights, std::int64_t row,
                  std::int64_t kernel_rows, std::int64_t panels, float* image_gradient) {
  for_blocks<kHeld>(kernel_rows, panels,
                    Scatter{entries, weights, panels * kPanel, row, image_gradient});
}

// kOut × kRows sums of a linear layer, kTile positions × two panels of a convolution, and kHeld
// panels of a kernel are what the registers hold; 3 × kTaps × two panels of its gradient too.
template <int kOut, int kRows, int kTile, int kHeld, int kTaps>
constexpr Kernels kernels_of(const char* name) {
  return {.name = name,
          .linear = linear_loop<kOut, kRows>,
          .linear_back = linear_back_loop<kOut>,
          .convolve = convolve_loop<kTile>,
          .pool = pool_loop,
          .gather_dense = gather_dense_loop<3, kTaps>,
          .gather_weights = gather_loop<kHeld>,
          .scatter_inputs = scatter_loop<kHeld>,
          .add = add_loop,
          .normalise = normalise_loop,
          .add_exactly = add_exactly_loop};
}

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
