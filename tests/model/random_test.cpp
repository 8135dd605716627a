#include "model/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace fedstill {
namespace {

struct Moments {
  double mean = 0.0, variance = 0.0, skewness = 0.0, kurtosis = 0.0;
};

template <typename Values>
Moments moments(const Values& values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const auto x : values) m.mean += x / n;
  for (const auto x : values) m.variance += std::pow(x - m.mean, 2) / n;
  for (const auto x : values) {
    const double z = (x - m.mean) / std::sqrt(m.variance);
    m.skewness += z * z * z / n;
    m.kurtosis += z * z * z * z / n;
  }
  return m;
}

TEST(Random, HasTheBitsItAlwaysHad) {
  EXPECT_EQ(random_bits(0, 0), 0xa706dd2f4d197e6fULL);
  EXPECT_EQ(random_bits(1, 0), 0x5e41ab087439611eULL);
  EXPECT_EQ(random_bits(1, 1), 0xf18d6ce93d6cf1eeULL);
  EXPECT_EQ(derive_key(1, 2, 3), 0xc3d0ff965f7e1df7ULL);
}

TEST(Random, NormalsHaveTheBitsTheyAlwaysHad) {
  std::vector<float> values(4);
  fill_normal(values, 7, 1.0F);
  EXPECT_EQ(values[0], -0x1.e26f98p-1F);
  EXPECT_EQ(values[1], -0x1.005aa6p+0F);
  EXPECT_EQ(values[2], 0x1.86f208p-2F);
  EXPECT_EQ(values[3], 0x1.d0860ep+0F);
  EXPECT_EQ(random_gamma(3, 0, 0.3), 0x1.f2ec326ff5cb5p-7);
  EXPECT_EQ(random_gamma(3, 0, 2.5), 0x1.7871ce6f42b72p+0);
}

// The same formula through libm, which may differ in the last bits.
TEST(Random, NormalsAreBoxMullerDeviates) {
  std::vector<float> values(20000);
  fill_normal(values, 11, 2.0F);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double u = 1.0 - random_uniform(11, 2 * i);
    const double v = random_uniform(11, 2 * i + 1);
    const double expected =
        2.0 * std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
    ASSERT_NEAR(values[i], expected, 1e-6) << i;
  }
}

TEST(Random, NormalsHaveTheMomentsOfANormal) {
  std::vector<float> values(400000);
  fill_normal(values, 5, 3.0F);
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 0.0, 0.02);  // four standard errors: 4 · 3 / √400000
  EXPECT_NEAR(m.variance, 9.0, 0.09);
  EXPECT_NEAR(m.skewness, 0.0, 0.016);
  EXPECT_NEAR(m.kurtosis, 3.0, 0.032);
}

TEST(Random, NormalsDoNotDependOnTheLengthOfTheFill) {
  std::vector<float> few(3);
  std::vector<float> many(100);
  fill_normal(few, 9, 1.0F);
  fill_normal(many, 9, 1.0F);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

TEST(Random, UniformsFillTheirRangeEvenly) {
  std::vector<double> values(100000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 4.0 * random_uniform(3, i) - 1.0;
  const Moments m = moments(values);
  EXPECT_NEAR(m.mean, 1.0, 0.015);
  EXPECT_NEAR(m.variance, 16.0 / 12.0, 0.02);
  EXPECT_GE(*std::min_element(values.begin(), values.end()), -1.0);
  EXPECT_LE(*std::max_element(values.begin(), values.end()), 3.0);
}

TEST(Random, UniformStaysBelowOne) {
  for (std::uint64_t i = 0; i < 100000; ++i) {
    const double value = random_uniform(17, i);
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
  }
}

TEST(Random, BoundedNumbersHitEveryValueEvenly) {
  std::vector<int> counts(7);
  for (std::uint64_t i = 0; i < 70000; ++i) ++counts.at(random_below(2, i, 7));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  EXPECT_EQ(random_below(2, 0, 1), 0U);
  EXPECT_THROW(random_below(2, 0, 0), std::invalid_argument);
}

TEST(Random, KeysDependOnEveryPartAndOnTheirOrder) {
  EXPECT_NE(derive_key(1, 2, 3), derive_key(1, 3, 2));
  EXPECT_NE(derive_key(1, 2), derive_key(1, 2, 0));
  EXPECT_NE(derive_key(1), derive_key(2));
}

TEST(Random, NeighbouringKeysAndCountersDifferInHalfOfTheBits) {
  int by_key = 0;
  int by_counter = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    by_key += std::popcount(random_bits(i, 5) ^ random_bits(i + 1, 5));
    by_counter += std::popcount(random_bits(5, i) ^ random_bits(5, i + 1));
  }
  EXPECT_NEAR(by_key / 1000.0, 32.0, 0.6);
  EXPECT_NEAR(by_counter / 1000.0, 32.0, 0.6);
}

TEST(Random, GammaHasMeanAndVarianceOfItsShape) {
  for (const double shape : {0.1, 0.5, 1.0, 2.5, 40.0}) {
    std::vector<double> values(40000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = random_gamma(23, i, shape);
    const Moments m = moments(values);
    EXPECT_NEAR(m.mean, shape, 4.5 * std::sqrt(shape / 40000.0)) << shape;
    EXPECT_NEAR(m.variance, shape, 0.15 * shape) << shape;
    EXPECT_GE(*std::min_element(values.begin(), values.end()), 0.0);
  }
}

TEST(Random, GammaRefusesAShapeThatIsNotPositive) {
  EXPECT_THROW(random_gamma(1, 1, 0.0), std::invalid_argument);
  EXPECT_THROW(random_gamma(1, 1, -1.0), std::invalid_argument);
  EXPECT_THROW(random_gamma(1, 1, std::nan("")), std::invalid_argument);
}

TEST(Random, ShuffleIsAPermutationAndReproducible) {
  std::vector<std::int64_t> values(100);
  std::iota(values.begin(), values.end(), 0);
  std::vector<std::int64_t> first = values;
  std::vector<std::int64_t> second = values;
  shuffle(first, 1);
  shuffle(second, 1);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, values);
  shuffle(second, 2);
  EXPECT_NE(first, second);
  std::ranges::sort(first);
  EXPECT_EQ(first, values);
}

TEST(Random, ShuffleReachesEveryOrderEqually) {
  std::vector<int> counts(27);
  for (std::uint64_t key = 0; key < 6000; ++key) {
    std::vector<std::int64_t> values{0, 1, 2};
    shuffle(values, key);
    ++counts[static_cast<std::size_t>(values[0] * 9 + values[1] * 3 + values[2])];
  }
  for (const int order : {5, 7, 11, 15, 19, 21}) {
    EXPECT_NEAR(counts[static_cast<std::size_t>(order)], 1000, 130) << order;
  }
}

TEST(Random, ShuffleLeavesNothingAndOneAlone) {
  std::vector<std::int64_t> values{4};
  shuffle({}, 1);
  shuffle(values, 1);
  EXPECT_EQ(values[0], 4);
}

}  // namespace
}  // namespace fedstill
