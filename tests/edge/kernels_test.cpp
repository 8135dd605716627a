#include "compression/edge/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "model/random.h"

namespace fedstill {
namespace {

std::vector<std::uint8_t> random_bytes(std::size_t count, std::uint64_t key) {
  std::vector<std::uint8_t> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(random_bits(key, i));
  return bytes;
}

std::vector<std::int8_t> random_weights(std::size_t count, std::uint64_t key) {
  const std::vector<std::uint8_t> bytes = random_bytes(count, key);
  return {bytes.begin(), bytes.end()};  // −128 too
}

class EveryKernel : public ::testing::TestWithParam<const Kernels*> {};
INSTANTIATE_TEST_SUITE_P(Sets, EveryKernel, ::testing::ValuesIn(available_kernels()),
                         [](const auto& set) {
                           std::string name = set.param->name;
                           std::erase(name, '-');
                           return name;
                         });

void expect_dot(DotKernel dot, int rows, int panels, const std::vector<std::uint8_t>& input,
                const std::vector<std::int8_t>& weights, const std::vector<std::int32_t>& offsets) {
  std::vector<const std::uint8_t*> starts;
  for (int row = 0; row < rows; ++row) starts.push_back(input.data() + 3 * row);
  const auto steps = static_cast<std::int64_t>(offsets.size());
  std::vector<std::int32_t> sums(static_cast<std::size_t>(rows * panels * kPanel), -1);
  dot(starts.data(), offsets.data(), steps, weights.data(), sums.data());
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < panels * kPanel; ++column) {
      std::int64_t expected = 0;
      for (std::int64_t step = 0; step < steps; ++step) {
        for (int k = 0; k < kDepth; ++k) {
          const std::int64_t at =
              ((column / kPanel * steps + step) * kPanel + column % kPanel) * kDepth + k;
          expected +=
              starts[static_cast<std::size_t>(row)][offsets[static_cast<std::size_t>(step)] + k] *
              weights[static_cast<std::size_t>(at)];
        }
      }
      ASSERT_EQ(sums[static_cast<std::size_t>(row * panels * kPanel + column)], expected)
          << rows << " rows, " << panels << " panels, " << steps << " steps, row " << row
          << ", column " << column;
    }
  }
}

TEST_P(EveryKernel, SumsProductsExactly) {
  for (const std::size_t steps : {1U, 2U, 7U, 144U}) {
    std::vector<std::int32_t> offsets;
    for (std::size_t i = 0; i < steps; ++i)
      offsets.push_back(static_cast<std::int32_t>((i * 5) % 700));
    for (int panels = 1; panels <= 2; ++panels) {
      const auto weights = random_weights(steps * 2 * kPanel * kDepth, steps);
      const auto input = random_bytes(800, steps + 1);
      expect_dot(GetParam()->dot[0][panels - 1], 1, panels, input, weights, offsets);
      expect_dot(GetParam()->dot[1][panels - 1], kTileRows, panels, input, weights, offsets);
    }
  }
}

// Where 16-bit accumulation would saturate.
TEST_P(EveryKernel, SumsTheLargestProductsExactly) {
  const std::vector<std::int32_t> offsets(500, 0);
  const std::vector<std::uint8_t> input(100, 255);
  for (const int weight : {-128, -127, 127}) {
    const std::vector<std::int8_t> weights(500 * 2 * kPanel * kDepth,
                                           static_cast<std::int8_t>(weight));
    expect_dot(GetParam()->dot[1][1], kTileRows, 2, input, weights, offsets);
    expect_dot(GetParam()->dot[0][0], 1, 1, input, weights, offsets);
  }
}

TEST_P(EveryKernel, RequantizesLikeThePlainLoop) {
  constexpr std::int64_t kSums = 1003;
  std::vector<std::int32_t> sums, bias;
  std::vector<float> multipliers;
  for (std::uint64_t i = 0; i < kSums; ++i) {
    sums.push_back(static_cast<std::int32_t>(random_bits(1, i)) / 4);
    bias.push_back(static_cast<std::int32_t>(random_bits(2, i)) / 4);
    const bool coarse = i % 3 == 0;  // halves: multiples of 0.5
    multipliers.push_back(coarse ? 0.5F : static_cast<float>(random_uniform(3, i) * 1e-6));
    if (coarse) sums.back() %= 300, bias.back() = 0;
  }
  multipliers[4] = std::numeric_limits<float>::max();
  const Requantization to{bias.data(), multipliers.data(), -7.0F, 230.0F, 20};
  std::vector<std::uint8_t> expected(kSums), got(kSums);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const float real = static_cast<float>(sums[i] + bias[i]) * multipliers[i];
    expected[i] =
        static_cast<std::uint8_t>(std::nearbyint(std::clamp(real, -7.0F, 230.0F)) + 20.0F);
  }
  GetParam()->requantize(sums.data(), kSums, to, got.data());
  EXPECT_EQ(got, expected);
}

TEST_P(EveryKernel, QuantizesLikeOnnx) {
  const std::vector<float> values{-1e30F, -3.0F, -0.75F, -0.25F, 0.0F, 0.25F,    0.75F,
                                  1.25F,  60.0F, 61.0F,  1e30F,  NAN,  INFINITY, -INFINITY};
  std::vector<std::uint8_t> codes(values.size());
  GetParam()->quantize(values.data(), static_cast<std::int64_t>(values.size()), 0.5F, 10,
                       codes.data());
  EXPECT_EQ(codes,
            (std::vector<std::uint8_t>{0, 4, 8, 10, 10, 10, 12, 12, 130, 132, 255, 0, 255, 0}));
}

TEST_P(EveryKernel, AgreesWithThePlainLoopsElsewhere) {
  for (const std::int64_t count : {1, 15, 64, 517}) {
    const auto size = static_cast<std::size_t>(count);
    const auto a = random_bytes(size, 1), b = random_bytes(size, 2);
    const PairScales scales{0.031F, 0.17F, 0.09F, 31, 200, 99, -60.0F, 140.0F};
    std::vector<std::uint8_t> expected(size), got(size);
    kPortableKernels.add(a.data(), b.data(), count, scales, expected.data());
    GetParam()->add(a.data(), b.data(), count, scales, got.data());
    EXPECT_EQ(got, expected);
    kPortableKernels.multiply(a.data(), b.data(), count, scales, expected.data());
    GetParam()->multiply(a.data(), b.data(), count, scales, got.data());
    EXPECT_EQ(got, expected);
    expected = got = b;
    kPortableKernels.maximum(a.data(), count, expected.data());
    GetParam()->maximum(a.data(), count, got.data());
    EXPECT_EQ(got, expected);
    std::vector<std::int32_t> first(size, 5), second(size, 5);
    kPortableKernels.accumulate(a.data(), count, first.data());
    GetParam()->accumulate(a.data(), count, second.data());
    EXPECT_EQ(first, second);
  }
}

}  // namespace
}  // namespace fedstill
