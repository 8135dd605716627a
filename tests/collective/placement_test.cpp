#include "collective/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

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
    std::minstd_rand random(static_cast<std::uint32_t>(trial) + 1);
    for (std::uint64_t i = 0; i < 4 + trial % 4; ++i) {
      costs.push_back(1.0 + static_cast<double>(random() % 100));
    }
    const std::vector<int> placed = place(costs, ranks);
    EXPECT_LE(latest(costs, placed, ranks), best(costs, ranks) * 4.0 / 3.0) << trial;
  }
}

struct Work {
  std::vector<double> costs;
  std::int64_t units;
  std::size_t hands;
};

const Work kWorks[] = {{{1, 1, 1}, 30, 3}, {{1, 1}, 30, 4}, {{100, 1, 3}, 7, 2},
                       {{1000, 1}, 30, 4}, {{1}, 30, 8},    {{2, 5, 1, 1, 9, 3, 4}, 13, 5},
                       {{1, 0, 2}, 10, 3}, {{3, 3}, 1, 5},  {{1, 2, 3}, 4, 1}};

TEST(Placement, WorkThatIsCutIsCompleteAndInOrder) {
  for (const auto& [costs, units, hands] : kWorks) {
    std::size_t item = 0, hand = 0;
    std::int64_t unit = 0;
    for (const Piece& piece : cut(costs, units, hands)) {
      EXPECT_EQ(piece.item, item);
      EXPECT_EQ(piece.begin, unit);
      EXPECT_LT(piece.begin, piece.end);
      EXPECT_GE(piece.hand, hand);
      EXPECT_LT(piece.hand, hands);
      hand = piece.hand;
      unit = piece.end;
      if (unit != units) continue;
      unit = 0;
      ++item;
    }
    EXPECT_EQ(item, costs.size());
    EXPECT_EQ(unit, 0);
  }
}

TEST(Placement, SharesAreEqualUpToAUnitAndFewItemsAreShared) {
  for (const auto& [costs, units, hands] : kWorks) {
    std::vector<double> shares(hands);
    const std::vector<Piece> pieces = cut(costs, units, hands);
    for (const Piece& piece : pieces) {
      shares[piece.hand] += costs[piece.item] * static_cast<double>(piece.end - piece.begin);
    }
    const double mean =
        std::accumulate(shares.begin(), shares.end(), 0.0) / static_cast<double>(hands);
    EXPECT_LE(*std::ranges::max_element(shares), mean + *std::ranges::max_element(costs) + 1e-9);
    EXPECT_LE(pieces.size(), costs.size() + hands - 1);
  }
}

TEST(Placement, WorkWithoutACostIsStillDone) {
  const std::vector<Piece> pieces = cut(std::vector<double>{0, 0}, 2, 3);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[1].end, 2);
  EXPECT_TRUE(cut(std::vector<double>{}, 5, 2).empty());
}

TEST(Placement, GivesEveryRankOneWhereThereAreEnough) {
  EXPECT_EQ(place(std::vector<double>{1, 9, 5}, 3), (std::vector<int>{2, 0, 1}));
  EXPECT_EQ(place(std::vector<double>{1, 2}, 1), (std::vector<int>{0, 0}));
  EXPECT_TRUE(place(std::vector<double>{}, 4).empty());
}

}  // namespace
}  // namespace fedstill
