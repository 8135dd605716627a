#include "averaging/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/random.h"
#include "training/fit.h"

namespace fedstill {
namespace {

std::vector<float> values(std::uint64_t key) {
  std::vector<float> v(33);
  fill_normal(v, key, static_cast<float>(std::pow(10.0, static_cast<double>(key % 7) - 4.0)));
  return v;
}

TEST(ExactSum, IsTheSameBitsInAnyOrderAndAnyParts) {
  constexpr std::uint64_t kAddends = 50;
  ExactSum forward(33), backward(33), even(33), odd(33);
  for (std::uint64_t k = 0; k < kAddends; ++k) {
    forward.add(values(k), 1.0 / 3.0);
    backward.add(values(kAddends - 1 - k), 1.0 / 3.0);
    (k % 2 == 0 ? even : odd).add(values(k), 1.0 / 3.0);
  }
  odd.add(even);
  EXPECT_TRUE(std::ranges::equal(forward.sums(), backward.sums()));
  EXPECT_TRUE(std::ranges::equal(forward.sums(), odd.sums()));
}

TEST(ExactSum, IsTheSum) {
  ExactSum sum(33);
  std::vector<double> naive(33);
  for (std::uint64_t k = 0; k < 20; ++k) {
    const auto v = values(k);
    sum.add(v, 0.05);
    for (std::size_t i = 0; i < v.size(); ++i) naive[i] += 0.05 * static_cast<double>(v[i]);
  }
  for (std::size_t i = 0; i < naive.size(); ++i) EXPECT_NEAR(sum.sums()[i], naive[i], 20 * 0x1p-36);
}

TEST(ExactSum, RefusesWhatItCannotAddExactly) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 4e4F, -4e4F,
                          std::numeric_limits<float>::infinity()}) {
    ExactSum sum(3);
    const std::vector<float> v{0.0F, bad, 0.0F};
    EXPECT_THROW(sum.add(v, 1.0), DivergedError) << bad;
  }
}

TEST(ExactSum, BeginsAgain) {
  ExactSum sum(33);
  sum.add(values(1), 1.0);
  sum.clear();
  for (const double s : sum.sums()) EXPECT_EQ(s, 0.0);
}

}  // namespace
}  // namespace fedstill
