// What sets the schemes apart; what they have in common is in split_test.cpp.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/data/small_split.h"

namespace fedstill {
namespace {

using tests::balanced_labels;
using tests::class_counts;
using tests::kLabels;
using tests::Labels;
using tests::small_options;
using tests::small_split;

// Mean over clients of the total variation distance between their labels and everybody's.
double skew(const Split& split, const Labels& labels, double classes) {
  double sum = 0.0;
  for (const auto& client : split.clients) {
    const auto counts = class_counts(client, labels);
    double distance = 0.0;
    for (std::int32_t label = 0; label < static_cast<std::int32_t>(classes); ++label) {
      const auto found = counts.find(label);
      const double share = found == counts.end() ? 0.0
                                                 : static_cast<double>(found->second) /
                                                       static_cast<double>(client.size());
      distance += std::abs(share - 1.0 / classes) / 2.0;
    }
    sum += distance;
  }
  return sum / static_cast<double>(split.clients.size());
}

TEST(Split, IidSharesAreEqualAndAlike) {
  const Split split = small_split(small_options("iid"));
  for (const auto& client : split.clients) {
    EXPECT_THAT(client.size(), ::testing::AnyOf(240U, 241U));
    EXPECT_EQ(class_counts(client).size(), 10U);
  }
  EXPECT_LT(skew(split, kLabels, 10), 0.15);
}

TEST(Split, DirichletSkewGrowsAsAlphaFalls) {
  for (const char* scheme : {"dirichlet", "dirichlet-clients"}) {
    const Labels labels = balanced_labels(8000, 10);
    double before = -0.05;
    for (const double alpha : {1000.0, 1.0, 0.3, 0.05}) {
      double sum = 0.0;
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        SplitOptions options = small_options(scheme, seed);
        options.private_count = 6000;
        options.alpha = alpha;
        options.minimum = 1;
        sum += skew(make_split(labels, 10, options), labels, 10) / 5.0;
      }
      EXPECT_GT(sum, before + 0.05) << scheme << ' ' << alpha;
      before = sum;
    }
    EXPECT_GT(before, 0.5) << scheme;
  }
}

// A client that has N/K images gets none of the next class, so none exceeds N/K plus one class.
TEST(Split, DirichletCapsTheClients) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SplitOptions options = small_options("dirichlet", seed);
    options.alpha = 0.1;
    const Split split = small_split(options);
    for (const auto& client : split.clients) EXPECT_LT(client.size(), 1203 / 5 + 200);
  }
}

TEST(Split, DirichletClientsAreOfEqualSize) {
  for (const double alpha : {0.001, 0.1, 10.0}) {
    SplitOptions options = small_options("dirichlet-clients", 3);
    options.alpha = alpha;
    for (const auto& client : small_split(options).clients) {
      EXPECT_THAT(client.size(), ::testing::AnyOf(240U, 241U));
    }
  }
}

// The gamma deviates of so small a shape are all zero.
TEST(Split, VanishingAlphaGivesWholeClasses) {
  SplitOptions options = small_options("dirichlet", 1);
  options.alpha = 1e-9;
  options.minimum = 1;
  const Split split = small_split(options);
  std::size_t pairs = 0;
  for (const auto& client : split.clients) pairs += class_counts(client).size();
  EXPECT_EQ(pairs, 10U);
}

TEST(Split, ShardsOfWholeClassesKeepClientsToAFew) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SplitOptions options = small_options("shards", seed);
    options.private_count = 2000;  // all, so that every class fills exactly one shard
    options.pool_count = options.validation_count = 0;
    for (const auto& client : small_split(options).clients) {
      EXPECT_EQ(client.size(), 400U);
      EXPECT_LE(class_counts(client).size(), 2U);
    }
  }
}

// Pieces of a sorted list: each holds one class, and one more for every border inside it.
TEST(Split, ShardsAreCutFromTheSortedList) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (const std::size_t shards : {2U, 3U}) {
      SplitOptions options = small_options("shards", seed);
      options.shards_per_client = static_cast<int>(shards);
      std::size_t pairs = 0;
      for (const auto& client : small_split(options).clients) pairs += class_counts(client).size();
      EXPECT_LE(pairs, 5 * shards + 9) << "seed " << seed;
    }
  }
}

TEST(Split, EveryClientHoldsItsNumberOfClasses) {
  for (const int classes : {2, 3, 10}) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      SplitOptions options = small_options("classes", seed);
      options.classes_per_client = classes;
      std::vector<int> holders(10);
      for (const auto& client : small_split(options).clients) {
        const auto counts = class_counts(client);
        EXPECT_EQ(counts.size(), static_cast<std::size_t>(classes));
        for (const auto& [label, count] : counts) ++holders[static_cast<std::size_t>(label)];
      }
      const auto [least, most] = std::ranges::minmax(holders);
      EXPECT_GE(least, 1);
      EXPECT_LE(most - least, 1) << "classes are spread evenly";
    }
  }
}

TEST(Split, HoldersOfAClassShareItEqually) {
  SplitOptions options = small_options("classes", 2);
  options.classes_per_client = 4;
  std::map<std::int32_t, std::vector<std::int64_t>> shares;
  for (const auto& client : small_split(options).clients) {
    for (const auto& [label, count] : class_counts(client)) shares[label].push_back(count);
  }
  for (const auto& [label, counts] : shares) {
    EXPECT_LE(std::ranges::max(counts) - std::ranges::min(counts), 1) << "class " << label;
  }
}

}  // namespace
}  // namespace fedstill
