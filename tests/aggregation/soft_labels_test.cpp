#include "aggregation/soft_labels.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "tests/aggregation/world.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

class SoftLabelsTest : public testing::Test {
 protected:
  PredictionCache create() const { return PredictionCache::open_or_create(path_, key_of(world_)); }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "clients.cache";
  World world_ = make_world(4, 103, 6, 5);
};

TEST_F(SoftLabelsTest, AreTheRuleOverTheCacheWhateverTheBlock) {
  PredictionCache cache = create();
  write_world(cache, world_);
  const ClientFacts facts = measure_clients(cache);
  const auto rule = make_rule("bounded-odds");
  const Combined whole = combine_world(*rule, world_, facts);
  for (const std::int64_t block : {1, 10, 103, 4096}) {
    const SoftLabels labels = combine(*rule, cache, facts, block);
    EXPECT_TRUE(at::equal(labels.labels, whole.labels)) << block;
    EXPECT_TRUE(at::equal(labels.weights, whole.weights)) << block;
  }
}

TEST_F(SoftLabelsTest, NeedEveryClientAndABlock) {
  PredictionCache cache = create();
  const ClientFacts facts = facts_of(world_);
  const auto rule = make_rule("mean-prob");
  EXPECT_THROW(combine(*rule, cache, facts), std::invalid_argument);
  write_world(cache, world_);
  EXPECT_THROW(combine(*rule, cache, facts, 0), std::invalid_argument);
}

// Two clients, three classes; samples predicted as 0, 0, 2. Nobody predicts 1.
SoftLabels example() {
  const float labels[] = {0.8F, 0.2F, 0.0F, 0.5F, 0.25F, 0.25F, 0.0F, 0.0F, 1.0F};
  const float weights[] = {0.75F, 0.5F, 0.0F, 0.25F, 0.5F, 1.0F};
  return {.labels = tensor_of(labels, {3, 3}), .weights = tensor_of(weights, {2, 3})};
}

TEST(TrustReport, CountsWeightsByPredictedClass) {
  const TrustReport report = trust_report(example());
  EXPECT_EQ(report.weight, (std::vector<std::vector<double>>{{0.625, 0, 0}, {0.375, 0, 1}}));
  EXPECT_NEAR(report.total[0], 1.25 / 3, 1e-12);
  EXPECT_NEAR(report.total[1], 1.75 / 3, 1e-12);
}

TEST(TrustReport, ATieIsLedByHalves) {
  const TrustReport report = trust_report(example());
  EXPECT_EQ(report.leader, (std::vector<std::vector<double>>{{0.75, 0, 0}, {0.25, 0, 1}}));
}

TEST(TrustReport, EntropyIsTheMeanOverSamples) {
  const double first = -0.8 * std::log(0.8) - 0.2 * std::log(0.2);
  const double second = 0.5 * std::log(2.0) + 0.5 * std::log(4.0);
  EXPECT_NEAR(trust_report(example()).entropy, (first + second) / 3, 1e-6);
}

TEST(TrustReport, LeadersOfAClassSumToOne) {
  const World world = make_world(5, 200, 4, 8);
  const Combined out = combine_world(*make_rule("dlad-odds"), world);
  const TrustReport report = trust_report({.labels = out.labels, .weights = out.weights});
  double total = 0.0;
  for (std::size_t k = 0; k < 5; ++k) total += report.total[k];
  EXPECT_NEAR(total, 1.0, 1e-6);
  for (std::size_t c = 0; c < 4; ++c) {
    double leaders = 0.0, weights = 0.0;
    for (std::size_t k = 0; k < 5; ++k) {
      leaders += report.leader[k][c];
      weights += report.weight[k][c];
    }
    EXPECT_NEAR(leaders, 1.0, 1e-9);
    EXPECT_NEAR(weights, 1.0, 1e-6);
  }
}

TEST(TrustReport, RefusesLabelsAndWeightsThatDoNotBelongTogether) {
  SoftLabels labels = example();
  labels.weights = labels.weights.narrow(1, 0, 2);
  EXPECT_THROW(trust_report(labels), std::invalid_argument);
  EXPECT_THROW(trust_report({}), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
