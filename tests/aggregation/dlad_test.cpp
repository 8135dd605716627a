#include "aggregation/rules/dlad.h"

#include <gtest/gtest.h>

#include "tests/aggregation/world.h"

namespace fedstill {
namespace {

TEST(Dlad, SoftmaxMatchesItsFormula) {
  for (const double tau : {0.05, 1.0}) {
    expect_weights(*make_rule("dlad-softmax", {.softmax_temperature = tau}),
                   make_world(5, 30, 4, 1), [&](const World& w, std::size_t k, std::size_t i) {
                     return std::exp(w.confidence(k, i) / tau);
                   });
  }
}

TEST(Dlad, RatioMatchesItsFormula) {
  expect_weights(*make_rule("dlad-ratio"), make_world(5, 30, 4, 2),
                 [](const World& w, std::size_t k, std::size_t i) { return w.confidence(k, i); });
}

TEST(Dlad, OddsMatchTheirFormula) {
  World world = make_world(5, 30, 4, 3);
  world.confidences[0] = 0.0F;
  world.confidences[31] = 1.0F;
  expect_weights(*make_rule("dlad-odds"), world, [](const World& w, std::size_t k, std::size_t i) {
    return static_cast<double>(w.counts[k]) * w.odds(k, i);
  });
}

// Two Gaussians as domains, their even mixture as pool and optimal heads: the odds rule gives the
// posterior of the mixture exactly, whatever the clients believe off their domain.
TEST(Dlad, OddsOfOptimalHeadsGiveTheMixturesPosterior) {
  const std::size_t samples = 41;
  World world{.clients = 2,
              .samples = samples,
              .classes = 2,
              .logits = std::vector<float>(2 * samples * 2),
              .confidences = std::vector<float>(2 * samples),
              .counts = {300, 100}};
  const auto density = [](double x, double centre) {
    return std::exp(-0.5 * (x - centre) * (x - centre));
  };
  std::vector<double> expected;
  for (std::size_t i = 0; i < samples; ++i) {
    const double x = -2.0 + 0.1 * static_cast<double>(i);
    const double own[2] = {density(x, -1.0), density(x, 1.0)};
    const double pool = 0.5 * (own[0] + own[1]);
    const double posterior[2] = {0.9, 0.2};  // of class 0, by each client
    for (std::size_t k = 0; k < 2; ++k) {
      world.confidences[k * samples + i] = static_cast<float>(own[k] / (own[k] + pool));
      world.logits[(k * samples + i) * 2] =
          static_cast<float>(std::log(posterior[k] / (1.0 - posterior[k])));
    }
    expected.push_back((300 * own[0] * posterior[0] + 100 * own[1] * posterior[1]) /
                       (300 * own[0] + 100 * own[1]));
  }
  const Combined out = combine_world(*make_rule("dlad-odds"), world);
  for (std::size_t i = 0; i < samples; ++i) EXPECT_NEAR(label(out, i, 0), expected[i], 1e-5);
}

TEST(Dlad, WhereEveryHeadSaysNoTheSampleCountsDecide) {
  World world = make_world(3, 4, 2, 4);
  std::ranges::fill(world.confidences, 0.0F);
  const Combined out = combine_world(*make_rule("dlad-ratio"), world);
  const double total = static_cast<double>(world.counts[0] + world.counts[1] + world.counts[2]);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(weight(out, k, 2), static_cast<double>(world.counts[k]) / total, 1e-6);
  }
}

}  // namespace
}  // namespace fedstill
