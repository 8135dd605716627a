#include "data/split.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>

#include "data/data_error.h"
#include "tests/data/bytes.h"
#include "tests/data/small_split.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tests::kLabels;
using tests::Labels;
using tests::message_of;
using tests::small_options;
using tests::small_split;

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
