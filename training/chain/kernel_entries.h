#pragma once

// Gradients of a convolution from the outputs that have one, as kernel_panels.h says.

#include "training/chain/kernel_panels.h"

// NOLINTBEGIN(misc-definitions-in-headers): one copy for each kernels_*.cpp is what is wanted.
namespace fedstill::chain {
namespace {

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

}  // namespace
}  // namespace fedstill::chain
// NOLINTEND(misc-definitions-in-headers)
