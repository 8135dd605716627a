#include "averaging/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace fedstill {
namespace {

TEST(Sampling, MeetsTheCountWithDifferentClients) {
  for (std::int64_t count = 1; count <= 20; ++count) {
    const auto sample = sample_clients(20, count, static_cast<std::uint64_t>(count));
    const std::set<std::int64_t> different(sample.begin(), sample.end());
    EXPECT_EQ(std::ssize(sample), count);
    EXPECT_EQ(std::ssize(different), count);
    EXPECT_TRUE(std::ranges::is_sorted(sample));
    EXPECT_GE(sample.front(), 0);
    EXPECT_LT(sample.back(), 20);
  }
}

TEST(Sampling, RefusesACountThatCannotBeMet) {
  EXPECT_THROW(sample_clients(20, 21, 0), std::invalid_argument);
  EXPECT_THROW(sample_clients(20, 0, 0), std::invalid_argument);
  EXPECT_THROW(sample_clients(0, 1, 0), std::invalid_argument);
}

TEST(Sampling, ChoosesEveryClientEquallyOften) {
  constexpr int kDraws = 4000;
  std::vector<int> chosen(12);
  for (std::uint64_t key = 0; key < kDraws; ++key) {
    for (const std::int64_t client : sample_clients(12, 3, key)) {
      ++chosen[static_cast<std::size_t>(client)];
    }
  }
  // Expected 1,000 each with a deviation of 27.
  for (const int count : chosen) EXPECT_NEAR(count, 1000, 140);
}

TEST(Sampling, IsAFunctionOfTheKey) {
  EXPECT_EQ(sample_clients(1'000'000, 50, 7), sample_clients(1'000'000, 50, 7));
  EXPECT_NE(sample_clients(1'000'000, 50, 7), sample_clients(1'000'000, 50, 8));
}

}  // namespace
}  // namespace fedstill
