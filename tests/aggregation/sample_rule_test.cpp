#include "aggregation/rules/sample_rule.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <stdexcept>

#include "tests/aggregation/world.h"

namespace fedstill {
namespace {

TEST(SampleRule, SoftmaxIsSafeAtTheExtremes) {
  std::array values{1e4, -1e4, 1e4};
  softmax(values, 1.0);
  EXPECT_EQ(values[0], 0.5);
  EXPECT_EQ(values[1], 0.0);
  EXPECT_EQ(values[2], 0.5);
}

TEST(SampleRule, OddsAreClamped) {
  EXPECT_EQ(clamped_odds(0.0), 1e-3);
  EXPECT_EQ(clamped_odds(1.0), 1e3);
  EXPECT_EQ(clamped_odds(0.5), 1.0);
  EXPECT_NEAR(clamped_odds(0.75), 3.0, 1e-12);
}

TEST(SampleRule, CappedSharesRespectTheCapAndKeepTheSum) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::size_t clients = 2 + static_cast<std::size_t>(random_below(seed, 0, 9));
    std::vector<double> values;
    for (std::size_t k = 0; k < clients; ++k) {
      values.push_back(std::exp(8.0 * random_uniform(seed, k + 1)));
    }
    const double cap = 0.1 + 0.8 * random_uniform(seed, 99);
    const auto shares = capped_shares(values, cap);
    const double limit = std::max(cap, 1.0 / static_cast<double>(clients));
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-9) << seed;
    for (std::size_t k = 0; k < clients; ++k) {
      EXPECT_LE(shares[k], limit + 1e-12) << seed;
      for (std::size_t j = 0; j < clients; ++j) {  // nobody overtakes
        EXPECT_TRUE(values[k] > values[j] || shares[k] <= shares[j] + 1e-12) << seed;
      }
    }
  }
}

TEST(SampleRule, CappedSharesOfOneClientAndOfNothing) {
  EXPECT_EQ(capped_shares(std::array{7.0}, 0.5), std::vector<double>{1.0});
  EXPECT_EQ(capped_shares(std::array{0.0, 0.0}, 0.5), (std::vector<double>{0.0, 0.0}));
  EXPECT_EQ(capped_shares(std::array{9.0, 0.0}, 0.5), (std::vector<double>{0.5, 0.0}));
}

TEST(SampleRule, RefusesBlocksThatAreNone) {
  const World world = make_world(2, 3, 4, 1);
  const ClientFacts facts = facts_of(world);
  const auto rule = make_rule("mean-prob");
  const at::Tensor logits = logits_of(world), confidences = confidences_of(world);
  const auto refused = [&](const at::Tensor& z, const at::Tensor& h) {
    EXPECT_THROW(rule->combine({.logits = z, .confidences = h, .facts = facts}),
                 std::invalid_argument);
  };
  refused(logits.narrow(0, 0, 0), confidences.narrow(0, 0, 0));  // no clients
  refused(logits.narrow(2, 0, 0), confidences);                  // no classes
  refused(logits.narrow(1, 0, 2), confidences);                  // fewer samples
  refused(logits.narrow(0, 0, 1), confidences.narrow(0, 0, 1));  // not the clients of the facts
  refused(logits.to(at::kDouble), confidences);
  refused(logits[0], confidences);
  refused({}, confidences);
}

TEST(SampleRule, ABlockWithoutSamplesGivesNoLabels) {
  const World world = make_world(2, 3, 4, 1);
  const ClientFacts facts = facts_of(world);
  const Combined out = make_rule("mean-prob")
                           ->combine({.logits = logits_of(world).narrow(1, 0, 0),
                                      .confidences = confidences_of(world).narrow(1, 0, 0),
                                      .facts = facts});
  EXPECT_EQ(out.labels.sizes(), (at::IntArrayRef{0, 4}));
  EXPECT_EQ(out.weights.sizes(), (at::IntArrayRef{2, 0}));
}

}  // namespace
}  // namespace fedstill
