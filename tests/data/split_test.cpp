#include "data/split.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "data/data_error.h"
#include "tests/data/bytes.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using Labels = std::vector<std::int32_t>;

Labels balanced_labels(std::int64_t count, std::int64_t classes) {
  Labels labels;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(i * 7 % classes));
  }
  return labels;
}

SplitOptions small_options(const std::string& scheme, std::uint64_t seed = 0) {
  SplitOptions options;
  options.scheme = scheme;
  options.clients = 5;
  options.private_count = 1203;  // no multiple of the clients
  options.pool_count = 300;
  options.validation_count = 97;
  options.alpha = 0.3;
  options.minimum = 10;
  options.seed = seed;
  return options;
}

const Labels kLabels = balanced_labels(2000, 10);

Split small_split(const SplitOptions& options) { return make_split(kLabels, 10, options); }

std::map<std::int32_t, std::int64_t> class_counts(const std::vector<std::int64_t>& images,
                                                  const Labels& labels = kLabels) {
  std::map<std::int32_t, std::int64_t> counts;
  for (const std::int64_t image : images) ++counts[labels[static_cast<std::size_t>(image)]];
  return counts;
}

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

std::string refusal(const SplitOptions& options) {
  return message_of<DataError>([&] { small_split(options); });
}

class EveryScheme : public ::testing::TestWithParam<std::string_view> {
 protected:
  SplitOptions options(std::uint64_t seed = 0) const {
    return small_options(std::string(GetParam()), seed);
  }
};
INSTANTIATE_TEST_SUITE_P(Split, EveryScheme, ::testing::ValuesIn(split_schemes()),
                         [](const auto& name) {
                           std::string text(name.param);
                           std::erase(text, '-');
                           return text;
                         });

TEST_P(EveryScheme, DealsEveryImageAtMostOnce) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Split split = small_split(options(seed));
    std::set<std::int64_t> seen;
    std::size_t dealt = 0;
    const auto take = [&](const std::vector<std::int64_t>& list) {
      seen.insert(list.begin(), list.end());
      dealt += list.size();
    };
    for (const auto& client : split.clients) take(client);
    EXPECT_EQ(split.clients.size(), 5U);
    EXPECT_EQ(dealt, 1203U) << "seed " << seed;
    take(split.pool);
    take(split.validation);
    EXPECT_EQ(split.pool.size(), 300U);
    EXPECT_EQ(split.validation.size(), 97U);
    EXPECT_EQ(seen.size(), dealt) << "seed " << seed;
    EXPECT_GE(*seen.begin(), 0);
    EXPECT_LT(*seen.rbegin(), 2000);
    EXPECT_NO_THROW(check_disjoint(split, 2000));
  }
}

TEST_P(EveryScheme, EveryClientHasTheMinimum) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const auto& client : small_split(options(seed)).clients) {
      EXPECT_GE(client.size(), 10U) << "seed " << seed;
    }
  }
}

TEST_P(EveryScheme, TheSeedDecidesEverything) {
  std::set<std::string> hashes;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    EXPECT_EQ(small_split(options(seed)), small_split(options(seed)));
    hashes.insert(small_split(options(seed)).hash());
  }
  EXPECT_EQ(hashes.size(), 10U);
}

// Whatever the clients get, what the coordinator sees is the same random sample.
TEST_P(EveryScheme, PoolAndValidationDependOnTheSeedAlone) {
  const Split iid = small_split(small_options("iid", 4));
  const Split split = small_split(options(4));
  EXPECT_EQ(split.pool, iid.pool);
  EXPECT_EQ(split.validation, iid.validation);
}

TEST_P(EveryScheme, OneClientTakesAll) {
  SplitOptions one = options();
  one.clients = 1;
  one.classes_per_client = 10;
  EXPECT_EQ(small_split(one).clients.at(0).size(), 1203U);
}

TEST_P(EveryScheme, TheOrderInsideAClientIsMixed) {
  for (const auto& client : small_split(options()).clients) {
    EXPECT_FALSE(std::ranges::is_sorted(client));
    EXPECT_FALSE(std::ranges::is_sorted(client, {}, [](std::int64_t image) {
      return kLabels[static_cast<std::size_t>(image)];
    })) << "grouped by label";
  }
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

TEST(Split, ASingleClassIsEnough) {
  const Labels labels(500, 0);
  for (const std::string_view scheme : split_schemes()) {
    SplitOptions options = small_options(std::string(scheme));
    options.private_count = 400;
    options.pool_count = 100;
    options.validation_count = 0;
    options.classes_per_client = 1;
    options.alpha = 5.0;
    EXPECT_NO_THROW(check_disjoint(make_split(labels, 1, options), 500)) << scheme;
  }
}

TEST(Split, AClassWithoutImagesIsNoProblem) {
  Labels labels = kLabels;
  std::ranges::replace(labels, 3, 4);
  for (const std::string_view scheme : split_schemes()) {
    EXPECT_NO_THROW(make_split(labels, 10, small_options(std::string(scheme)))) << scheme;
  }
}

TEST(Split, CountsBeyondTheImagesAreRefused) {
  SplitOptions options = small_options("iid");
  options.pool_count = 701;
  EXPECT_EQ(refusal(options),
            "[split] found 1203 private + 701 pool + 97 validation images, expected at most 2000 "
            "in all");
  options.pool_count = INT64_MAX;
  EXPECT_THROW(small_split(options), DataError);
  options.pool_count = -1;
  EXPECT_EQ(refusal(options), "[split] found a count of -1, expected 0 or more");
}

TEST(Split, UnknownSchemesListTheKnown) {
  EXPECT_EQ(refusal(small_options("iidd")),
            "[split] found scheme \"iidd\", expected one of iid, dirichlet, dirichlet-clients, "
            "shards, classes");
}

TEST(Split, MinimumsThatCannotBeMetAreRefusedWithTheNumbers) {
  SplitOptions options = small_options("dirichlet");
  options.minimum = 241;
  EXPECT_EQ(refusal(options),
            "[split] found 1203 private images for 5 clients, expected at least 241 each");
  options.minimum = 240;
  options.alpha = 0.01;
  EXPECT_THAT(refusal(options), AllOf(HasSubstr("in 1000 draws"), HasSubstr("expected 240")));
  options.minimum = 0;
  EXPECT_THAT(refusal(options), HasSubstr("at least 1"));
}

TEST(Split, OptionsThatMakeNoSenseAreRefused) {
  SplitOptions options = small_options("dirichlet");
  for (const double alpha : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    options.alpha = alpha;
    EXPECT_THAT(refusal(options), HasSubstr("alpha")) << alpha;
  }
  for (const int clients : {0, -3, INT32_MAX}) {
    options.clients = clients;
    EXPECT_THAT(refusal(options), HasSubstr("clients")) << clients;
  }
  options = small_options("shards");
  for (const int shards : {0, 241, INT32_MAX}) {
    options.shards_per_client = shards;
    EXPECT_THAT(refusal(options), HasSubstr("expected 1 to 240")) << shards;
  }
  options = small_options("classes");
  for (const int classes : {0, 11}) {
    options.classes_per_client = classes;
    EXPECT_THAT(refusal(options), HasSubstr("expected 1 to 10")) << classes;
  }
  options.classes_per_client = 1;
  EXPECT_THAT(refusal(options), HasSubstr("expected enough to hold all 10 classes"));
}

TEST(Split, LabelsOutOfRangeAreTheCallersMistake) {
  EXPECT_THROW(make_split(kLabels, 9, small_options("iid")), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
