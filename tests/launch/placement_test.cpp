#include "launch/ranks/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/random.h"

namespace fedstill {
namespace {

double latest(const std::vector<double>& costs, const std::vector<int>& placed, int ranks) {
  std::vector<double> load(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < costs.size(); ++i)
    load[static_cast<std::size_t>(placed[i])] += costs[i];
  return *std::ranges::max_element(load);
}

// By trying all.
double best(const std::vector<double>& costs, int ranks) {
  std::vector<int> placed(costs.size());
  double least = std::accumulate(costs.begin(), costs.end(), 0.0);
  for (;;) {
    least = std::min(least, latest(costs, placed, ranks));
    std::size_t i = 0;
    while (i < placed.size() && ++placed[i] == ranks) placed[i++] = 0;
    if (i == placed.size()) return least;
  }
}

TEST(Placement, IsWithinAThirdOfTheBest) {
  for (std::uint64_t trial = 0; trial < 40; ++trial) {
    const int ranks = 2 + static_cast<int>(trial % 2);
    std::vector<double> costs;
    for (std::uint64_t i = 0; i < 4 + trial % 4; ++i) {
      costs.push_back(1.0 + static_cast<double>(random_below(trial, i, 100)));
    }
    const std::vector<int> placed = place(costs, ranks);
    EXPECT_LE(latest(costs, placed, ranks), best(costs, ranks) * 4.0 / 3.0) << trial;
  }
}

TEST(Placement, GivesEveryRankOneWhereThereAreEnough) {
  EXPECT_EQ(place(std::vector<double>{1, 9, 5}, 3), (std::vector<int>{2, 0, 1}));
  EXPECT_EQ(place(std::vector<double>{1, 2}, 1), (std::vector<int>{0, 0}));
  EXPECT_TRUE(place(std::vector<double>{}, 4).empty());
}

}  // namespace
}  // namespace fedstill
