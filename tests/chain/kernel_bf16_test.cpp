#include "training/chain/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "tests/chain/kernel_inputs.h"

namespace fedstill::chain {
namespace {

float value_of(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
}

// Eight bits are kept, half to even.
float in_bf16(float x) {
  int exponent = 0;
  const float fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

double product(float a, float b) {
  return static_cast<double>(in_bf16(a)) * static_cast<double>(in_bf16(b));
}

// Every instruction set of this processor against loops that anyone can read. What is not rounded,
// or twice, is off by hundredths.
class Bf16KernelsOf : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Bf16Kernels& kernels() const { return GetParam()->bf16; }

  std::vector<Bf16> rounded(const std::vector<float>& x) const {
    std::vector<Bf16> out(x.size() + kPanel);
    kernels().round(x.data(), std::ssize(x), out.data());
    return out;
  }
  // [rows / 2, width, 2]
  std::vector<Bf16> row_pairs(const std::vector<float>& x, std::int64_t width) const {
    std::vector<Bf16> out(x.size() + static_cast<std::size_t>(width));
    for (std::int64_t i = 0; i < std::ssize(x); i += 2 * width) {
      const bool both = i + width < std::ssize(x);
      kernels().pair(x.data() + i, both ? x.data() + i + width : nullptr, width, out.data() + i);
    }
    return out;
  }
  static void expect_near(const std::vector<float>& found, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 5e-4) << i;
    }
  }
};

TEST_P(Bf16KernelsOf, RoundToNearestHalfToEven) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  auto x = random_floats(1000, 1);
  for (std::uint32_t bits = 0x3F800000U; bits < 0x3F840000U; bits += 0x4000U) {
    x.push_back(std::bit_cast<float>(bits));  // halves and quarters between neighbours
  }
  for (const float edge : {0.0F, -0.0F, 3.3895314e38F, -kInfinity, kInfinity}) x.push_back(edge);
  const auto found = rounded(x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float expected = std::isinf(x[i]) ? x[i] : in_bf16(x[i]);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value_of(found[i])),
              std::bit_cast<std::uint32_t>(expected))
        << x[i];
  }
}

TEST_P(Bf16KernelsOf, NanStaysNan) {
  for (const std::uint32_t bits : {0x7F800001U, 0x7FFFFFFFU, 0xFFFFFFFFU, 0xFF800001U}) {
    const std::vector<float> x(33, std::bit_cast<float>(bits));
    for (std::size_t i = 0; i < 33; ++i) ASSERT_TRUE(std::isnan(value_of(rounded(x)[i]))) << bits;
  }
}

TEST_P(Bf16KernelsOf, PairTwoRowsValueByValue) {
  const auto x = random_floats(2 * 48, 1);
  std::vector<Bf16> both(2 * 48), single(2 * 48);
  kernels().pair(x.data(), x.data() + 48, 48, both.data());
  kernels().pair(x.data(), nullptr, 48, single.data());
  for (std::size_t i = 0; i < 48; ++i) {
    ASSERT_EQ(value_of(both[2 * i]), in_bf16(x[i]));
    ASSERT_EQ(value_of(both[2 * i + 1]), in_bf16(x[48 + i]));
    ASSERT_EQ(value_of(single[2 * i]), in_bf16(x[i]));
    ASSERT_EQ(value_of(single[2 * i + 1]), 0.0F);
  }
}

TEST_P(Bf16KernelsOf, Linear) {
  for (const auto& [rows, in, out] : kLinearShapes) {
    auto w = random_floats(out * in + kPanel, 1);
    const auto values = random_floats(rows * in, 2);
    const std::int64_t stride = (in + 31) / 32 * 32;
    std::vector<Bf16> x(static_cast<std::size_t>(rows * stride));
    for (std::int64_t r = 0; r < rows; ++r) {
      kernels().round(values.data() + r * in, in, x.data() + r * stride);
    }
    std::vector<float> y(static_cast<std::size_t>(rows * padded(out)), 0.5F);
    kernels().linear({rows, in, out, x.data(), stride, w.data()}, y.data(), padded(out));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < out; ++o) {
        double sum = 0.5;
        for (std::int64_t i = 0; i < in; ++i)
          sum += product(values[cell(r, in, i)], w[cell(o, in, i)]);
        ASSERT_NEAR(y[cell(r, padded(out), o)], sum, 1e-3);
      }
    }
  }
}

TEST_P(Bf16KernelsOf, LinearBack) {
  constexpr std::int64_t kIn = 272, kOut = 13, kStride = padded(kOut);
  for (const std::int64_t rows : {1, 7, 8}) {
    const auto first = random_floats(kOut * kIn, 1), x = random_floats(rows * kIn, 2);
    const auto d = random_floats(rows * kStride, 3), scaled = random_floats(rows * kStride, 4);
    std::vector<double> dx(static_cast<std::size_t>(rows * kIn)), w(first.begin(), first.end());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < kOut; ++o) {
        for (std::int64_t i = 0; i < kIn; ++i) {
          dx[cell(r, kIn, i)] += product(d[cell(r, kStride, o)], first[cell(o, kIn, i)]);
          w[cell(o, kIn, i)] += product(scaled[cell(r, kStride, o)], x[cell(r, kIn, i)]);
        }
      }
    }
    const auto x_pairs = row_pairs(x, kIn), scaled_pairs = row_pairs(scaled, kStride);
    for (const bool inputs : {true, false}) {
      auto found = first;
      std::vector<float> found_dx(dx.size());
      kernels().linear_back({rows, kIn, kOut, x_pairs.data(), kIn, found.data()}, rounded(d).data(),
                            scaled_pairs.data(), kStride, inputs ? found_dx.data() : nullptr);
      expect_near(found, w);
      if (inputs) expect_near(found_dx, dx);
    }
  }
}

// Images of 9 × 30 with 3 channels; kernels of 3 × 2, and of 3 × 1 whose rows have no even length.
TEST_P(Bf16KernelsOf, Convolve) {
  constexpr std::int64_t kRow = 30 * 3, kStep = 3, kRows = 3;
  const auto image = random_floats(9 * kRow, 1);
  for (const std::int64_t width : {6, 3}) {
    for (const std::int64_t panels : {1, 2}) {
      const std::int64_t lanes = panels * kPanel, even = width + width % 2;
      const auto bias = random_floats(lanes, 3);
      const auto weights = random_floats(panels * kRows * width * kPanel, 2);
      std::vector<Bf16> pairs;
      for (std::int64_t row = 0; row < panels * kRows; ++row) {
        const auto* const from = weights.data() + row * width * kPanel;
        const auto one = row_pairs({from, from + width * kPanel}, kPanel);
        pairs.insert(pairs.end(), one.begin(), one.begin() + even * kPanel);
      }
      for (const std::int64_t positions : {1, 2, 5, 12, 13, 26, 28}) {
        std::vector<float> found(static_cast<std::size_t>(positions * lanes));
        kernels().convolve({rounded(image).data() + kRow, kRow, kStep, kRows, width, positions},
                           pairs.data(), bias.data(), panels, found.data());
        std::vector<double> expected(found.size());
        for (std::int64_t i = 0; i < positions * lanes; ++i) {
          const std::int64_t p = i / lanes, lane = i % lanes;
          double sum = static_cast<double>(bias[static_cast<std::size_t>(lane)]);
          for (std::int64_t k = 0; k < kRows * width; ++k) {
            const std::int64_t w = ((lane / kPanel) * kRows * width + k) * kPanel + lane % kPanel;
            const std::int64_t x = (1 + k / width) * kRow + p * kStep + k % width;
            sum +=
                product(image[static_cast<std::size_t>(x)], weights[static_cast<std::size_t>(w)]);
          }
          expected[static_cast<std::size_t>(i)] = sum;
        }
        expect_near(found, expected);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Machine, Bf16KernelsOf, ::testing::ValuesIn(available_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fedstill::chain
