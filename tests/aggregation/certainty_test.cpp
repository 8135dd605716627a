#include "aggregation/rules/certainty.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/aggregation/world.h"

namespace fedstill {
namespace {

TEST(Certainty, EntropyOfKnownDistributions) {
  EXPECT_EQ(entropy(std::array{1.0, 0.0, 0.0}), 0.0);
  EXPECT_NEAR(entropy(std::array{0.25, 0.25, 0.25, 0.25}), std::log(4.0), 1e-15);
  EXPECT_NEAR(entropy(std::array{0.5, 0.5, 0.0}), std::log(2.0), 1e-15);
}

TEST(Certainty, MaxProbabilityMatchesItsFormula) {
  for (const double temperature : {1.0, 2.0}) {
    expect_weights(
        *make_rule("max-prob", {.temperature = temperature}), make_world(4, 30, 6, 1),
        [&](const World& w, std::size_t k, std::size_t i) {
          return std::ranges::max(w.softmax(k, i, temperature));
        },
        temperature);
  }
}

TEST(Certainty, EntropyRuleMatchesItsFormula) {
  for (const double scale : {0.1, 0.5, 2.0}) {
    expect_weights(*make_rule("entropy", {.entropy_scale = scale}), make_world(4, 30, 6, 2),
                   [&](const World& w, std::size_t k, std::size_t i) {
                     double h = 0.0;
                     for (const double p : w.softmax(k, i)) h -= p * std::log(p);
                     return std::exp(-h / scale);
                   });
  }
}

}  // namespace
}  // namespace fedstill
