#include "training/chain/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/chain/kernel_inputs.h"

namespace fedstill::chain {
namespace {

void expect_near(const std::vector<float>& found, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], 2e-4) << i;
}

// Every instruction set of this processor against loops that anyone can read.
class KernelsOf : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
};

TEST_P(KernelsOf, Linear) {
  for (const auto& [rows, in, out] : kLinearShapes) {
    auto w = random_floats(out * in, 1);
    const auto x = random_floats(rows * in, 2);
    std::vector<float> y(static_cast<std::size_t>(rows * padded(out)), 0.5F);
    kernels().linear({rows, in, out, x.data(), in, w.data()}, y.data(), padded(out));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = 0.5;
        for (std::int64_t i = 0; i < in; ++i) {
          sum += static_cast<double>(x[cell(r, in, i)]) * static_cast<double>(w[cell(o, in, i)]);
        }
        ASSERT_NEAR(y[cell(r, padded(out), o)], sum, 1e-3);
      }
    }
  }
}

TEST_P(KernelsOf, LinearBack) {
  constexpr std::int64_t kRows = 7, kIn = 272, kOut = 13, kStride = padded(kOut);
  const auto first = random_floats(kOut * kIn, 1), x = random_floats(kRows * kIn, 2);
  const auto d = random_floats(kRows * kStride, 3), scaled = random_floats(kRows * kStride, 4);
  std::vector<double> dx(kRows * kIn), w(first.begin(), first.end());
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t o = 0; o < kOut; ++o) {
      for (std::int64_t i = 0; i < kIn; ++i) {
        dx[cell(r, kIn, i)] += static_cast<double>(d[cell(r, kStride, o)] * first[cell(o, kIn, i)]);
        w[cell(o, kIn, i)] += static_cast<double>(scaled[cell(r, kStride, o)] * x[cell(r, kIn, i)]);
      }
    }
  }
  for (const bool inputs : {true, false}) {
    auto found = first;
    std::vector<float> found_dx(dx.size());
    kernels().linear_back({kRows, kIn, kOut, x.data(), kIn, found.data()}, d.data(), scaled.data(),
                          kStride, inputs ? found_dx.data() : nullptr);
    expect_near(found, w);
    if (inputs) expect_near(found_dx, dx);
  }
}

// An image of 9 × 30 with 3 channels under a kernel of 3 × 2 with strides of 2 and 1.
constexpr std::int64_t kRow = 30 * 3, kStep = 3, kKernelRows = 3, kKernelRow = 2 * 3;

double input(const std::vector<float>& image, std::int64_t at, std::int64_t ky, std::int64_t i) {
  return static_cast<double>(image[static_cast<std::size_t>(at + ky * kRow + i)]);
}

TEST_P(KernelsOf, Convolve) {
  const auto image = random_floats(9 * kRow, 1);
  for (const std::int64_t panels : {1, 2}) {
    const std::int64_t depth = kKernelRows * kKernelRow, lanes = panels * kPanel;
    const auto weights = random_floats(panels * depth * kPanel, 2), bias = random_floats(lanes, 3);
    for (const std::int64_t positions : {1, 2, 5, 12, 13, 26, 29}) {
      std::vector<float> found(static_cast<std::size_t>(positions * lanes));
      kernels().convolve({image.data() + kRow, kRow, kStep, kKernelRows, kKernelRow, positions},
                         weights.data(), bias.data(), panels, found.data());
      std::vector<double> expected(found.size());
      for (std::int64_t i = 0; i < positions * lanes; ++i) {
        const std::int64_t p = i / lanes, lane = i % lanes;
        double sum = static_cast<double>(bias[static_cast<std::size_t>(lane)]);
        for (std::int64_t k = 0; k < depth; ++k) {
          const std::int64_t w = ((lane / kPanel) * depth + k) * kPanel + lane % kPanel;
          sum += input(image, kRow + p * kStep, k / kKernelRow, k % kKernelRow) *
                 static_cast<double>(weights[static_cast<std::size_t>(w)]);
        }
        expected[static_cast<std::size_t>(i)] = sum;
      }
      expect_near(found, expected);
    }
  }
}

TEST_P(KernelsOf, Pool) {
  for (const auto& [size, channels, rectify] :
       {std::tuple<std::int64_t, std::int64_t, bool>{2, 32, true}, {3, 5, false}, {1, 19, true}}) {
    constexpr std::int64_t kWindows = 4;
    const std::int64_t positions = kWindows * size, lanes = padded(channels);
    const auto values = random_floats(size * positions * lanes, 5);
    std::vector<float> best(static_cast<std::size_t>(kWindows * channels));
    std::vector<std::int32_t> winners(best.size());
    kernels().pool({values.data(), size, positions, lanes, kWindows, 1000, 100, 3, rectify},
                   channels, channels, best.data(), winners.data());
    for (std::int64_t i = 0; i < kWindows * channels; ++i) {
      const std::int64_t window = i / channels, c = i % channels;
      float most = -1e9F;
      std::int64_t winner = 0;
      for (std::int64_t y = 0; y < size; ++y) {
        for (std::int64_t x = window * size; x < (window + 1) * size; ++x) {
          const float value = values[static_cast<std::size_t>((y * positions + x) * lanes + c)];
          if (value > most) winner = 1000 + y * 100 + x * 3;
          most = std::max(most, value);
        }
      }
      ASSERT_EQ(best[static_cast<std::size_t>(i)], rectify ? std::max(most, 0.0F) : most);
      ASSERT_EQ(winners[static_cast<std::size_t>(i)], winner);
    }
  }
}

TEST_P(KernelsOf, GatherDense) {
  const auto image = random_floats(9 * kRow, 1);
  for (const std::int64_t panels : {1, 2}) {
    constexpr std::int64_t kPositions = 11, kStride = 40, kDepth = kKernelRows * kKernelRow;
    const auto d = random_floats(kPositions * kStride + kPanel, 2);
    const auto y = random_floats(kPositions * kStride + kPanel, 3);
    for (const bool masked : {false, true}) {
      auto gradient = random_floats(panels * kDepth * kPanel, 4), bias = random_floats(32, 5);
      std::vector<double> expected(gradient.begin(), gradient.end());
      std::vector<double> expected_bias(bias.begin(), bias.end());
      for (std::int64_t p = 0; p < kPositions; ++p) {
        for (std::int64_t lane = 0; lane < panels * kPanel; ++lane) {
          const auto at = static_cast<std::size_t>(p * kStride + lane);
          const double value = masked && !(y[at] > 0.0F) ? 0.0 : static_cast<double>(d[at]);
          expected_bias[static_cast<std::size_t>(lane)] += value;
          for (std::int64_t k = 0; k < kDepth; ++k) {
            expected[static_cast<std::size_t>(((lane / kPanel) * kDepth + k) * kPanel +
                                              lane % kPanel)] +=
                value * input(image, p * kStep, k / kKernelRow, k % kKernelRow);
          }
        }
      }
      kernels().gather_dense({image.data(), kRow, kStep, kKernelRows, kKernelRow, kPositions},
                             d.data(), masked ? y.data() : nullptr, kStride, panels,
                             gradient.data(), bias.data());
      expect_near(gradient, expected);
      expect_near(bias, expected_bias);
    }
  }
}

TEST_P(KernelsOf, GatherAndScatterEntries) {
  constexpr std::int64_t kImage = 9 * 400, kImageRow = 400;
  const std::vector<std::int32_t> offsets{0, 7, 7, 300, 1203, 45};
  const auto values = random_floats(6, 1), image = random_floats(kImage, 2);
  const Entries entries{offsets.data(), values.data(), 6};
  for (const std::int64_t rows : {1, 3, 5}) {
    for (const std::int64_t panels : {1, 2, 3, 6, 8, 9, 11}) {
      const std::int64_t width = panels * kPanel;
      if (1203 + (rows - 1) * kImageRow + width > kImage) continue;
      auto gradient = random_floats(rows * width, 3), scattered = image;
      const auto weights = random_floats(rows * width, 4);
      std::vector<double> expected(gradient.begin(), gradient.end());
      std::vector<double> expected_image(image.begin(), image.end());
      for (std::size_t e = 0; e < 6; ++e) {
        for (std::int64_t i = 0; i < rows * width; ++i) {
          const auto at = static_cast<std::size_t>(offsets[e] + i / width * kImageRow + i % width);
          expected[static_cast<std::size_t>(i)] += static_cast<double>(values[e] * image[at]);
          expected_image[at] +=
              static_cast<double>(values[e] * weights[static_cast<std::size_t>(i)]);
        }
      }
      kernels().gather_weights(entries, image.data(), kImageRow, rows, panels, gradient.data());
      kernels().scatter_inputs(entries, weights.data(), kImageRow, rows, panels, scattered.data());
      expect_near(gradient, expected);
      expect_near(scattered, expected_image);
    }
  }
}

TEST_P(KernelsOf, AddAndNormalise) {
  auto y = random_floats(37, 1);
  const auto x = random_floats(37, 2), before = y;
  kernels().add(-0.25F, x.data(), y.data(), 37);
  for (std::size_t i = 0; i < 37; ++i) EXPECT_NEAR(y[i], before[i] - 0.25F * x[i], 1e-6);
  std::vector<std::uint8_t> pixels(256);
  for (std::size_t i = 0; i < 256; ++i) pixels[i] = static_cast<std::uint8_t>(i);
  std::vector<float> normalised(256);
  kernels().normalise(pixels.data(), 256, 71.3F, 0.011F, normalised.data());
  for (std::size_t i = 0; i < 256; ++i) {
    ASSERT_EQ(normalised[i], (static_cast<float>(i) - 71.3F) * 0.011F);
  }
}

TEST_P(KernelsOf, AddExactlyKnowsItsLimit) {
  std::vector<double> sums(40);
  const auto x = random_floats(40, 1);
  EXPECT_TRUE(kernels().add_exactly(0.1, x.data(), sums.data(), 40));
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_NEAR(sums[i], 0.1 * static_cast<double>(x[i]), 0x1p-37);
    EXPECT_EQ(std::ldexp(sums[i], 36), std::round(std::ldexp(sums[i], 36)));
  }
  for (const float bad : {32768.0F, -32768.0F, std::nanf(""), INFINITY}) {
    std::vector<float> values(40, 1.0F);
    values[33] = bad;
    EXPECT_FALSE(kernels().add_exactly(1.0, values.data(), sums.data(), 40)) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(Machine, KernelsOf, ::testing::ValuesIn(available_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fedstill::chain
