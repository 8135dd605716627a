#include "aggregation/rules/averages.h"

#include <gtest/gtest.h>

#include "tests/aggregation/world.h"

namespace fedstill {
namespace {

// softmax of the plain mean of logits, each client's divided by its own number.
void expect_mean_logit(const Rule& rule, const World& world, const std::vector<double>& divisors,
                       double temperature) {
  const Combined out = combine_world(rule, world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    std::vector<double> mean(world.classes, 0.0);
    for (std::size_t c = 0; c < world.classes; ++c) {
      for (std::size_t k = 0; k < world.clients; ++k) {
        mean[c] += world.logit(k, i, c) / divisors[k] / static_cast<double>(world.clients);
      }
    }
    double sum = 0.0;
    for (const double z : mean) sum += std::exp(z / temperature);
    for (std::size_t c = 0; c < world.classes; ++c) {
      EXPECT_NEAR(label(out, i, c), std::exp(mean[c] / temperature) / sum, 1e-6);
    }
    for (std::size_t k = 0; k < world.clients; ++k) {
      EXPECT_NEAR(weight(out, k, i), 1.0 / static_cast<double>(world.clients), 1e-7);
    }
  }
}

TEST(Averages, MeanProbabilityIsTheMeanOfTheSoftmaxes) {
  for (const double temperature : {0.5, 1.0, 4.0}) {
    expect_weights(
        *make_rule("mean-prob", {.temperature = temperature}), make_world(4, 30, 7, 1),
        [](const World&, std::size_t, std::size_t) { return 1.0; }, temperature);
  }
}

TEST(Averages, SizeWeighsByTheSampleCounts) {
  expect_weights(
      *make_rule("size"), make_world(5, 20, 4, 2),
      [](const World& w, std::size_t k, std::size_t) { return static_cast<double>(w.counts[k]); });
}

TEST(Averages, MeanLogitIsTheSoftmaxOfTheMean) {
  const World world = make_world(4, 30, 7, 3);
  expect_mean_logit(*make_rule("mean-logit"), world, std::vector<double>(4, 1.0), 1.0);
  expect_mean_logit(*make_rule("mean-logit", {.temperature = 3.0}), world,
                    std::vector<double>(4, 1.0), 3.0);
}

TEST(Averages, StandardisedMeanLogitDividesByTheDeviations) {
  World world = make_world(3, 40, 5, 4);
  for (std::size_t j = 0; j < world.samples * world.classes; ++j) world.logits[j] *= 200.0F;
  const at::Tensor deviation = facts_of(world).logit_deviation;
  const double* d = deviation.const_data_ptr<double>();
  ASSERT_GT(d[0], 100.0 * d[1]);
  expect_mean_logit(*make_rule("mean-logit-standardised"), world, {d[0], d[1], d[2]}, 1.0);
}

TEST(Averages, StandardisedMeanLogitDoesNotNoticeAClientsScale) {
  World world = make_world(3, 40, 5, 5);
  const auto rule = make_rule("mean-logit-standardised");
  const Combined before = combine_world(*rule, world);
  for (std::size_t j = 0; j < world.samples * world.classes; ++j) world.logits[j] *= 64.0F;
  const Combined after = combine_world(*rule, world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    for (std::size_t c = 0; c < world.classes; ++c) {
      EXPECT_NEAR(label(after, i, c), label(before, i, c), 1e-6);
    }
  }
}

TEST(Averages, AClientWithConstantLogitsDoesNotBreakTheStandardisedMean) {
  World world = make_world(2, 6, 3, 6);
  std::fill_n(world.logits.begin(), world.samples * world.classes, 4.0F);
  const Combined out = combine_world(*make_rule("mean-logit-standardised"), world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    for (std::size_t c = 0; c < world.classes; ++c) EXPECT_TRUE(std::isfinite(label(out, i, c)));
  }
}

}  // namespace
}  // namespace fedstill
