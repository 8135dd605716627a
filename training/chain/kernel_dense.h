#pragma once

// The gradient of a convolution's weights where every output has one, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

// d where y is above zero; y may be null.
inline Panel passed(const float* d, const float* y) {
  const Panel gradient = load(d), zero{};
  if (y == nullptr) return gradient;
  return load(y) > zero ? gradient : zero;
}

struct Dense {
  const ConvRow<float>& row;
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
void gather_dense_loop(const ConvRow<float>& row, const float* d, const float* y,
                       std::int64_t d_stride, std::int64_t panels, float* gradient, float* bias) {
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

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
