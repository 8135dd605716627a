#include "aggregation/rules/bounded_odds.h"

#include <gtest/gtest.h>

#include "tests/aggregation/world.h"

namespace fedstill {
namespace {

constexpr std::size_t kDomains = 10, kPerDomain = 20;

// Client k knows domain k of the pool: its head says so, and says no elsewhere.
World specialists() {
  World world = make_world(kDomains, kDomains * kPerDomain, 3, 7);
  for (std::size_t k = 0; k < kDomains; ++k) {
    world.counts[k] = 100;
    for (std::size_t i = 0; i < world.samples; ++i) {
      world.confidences[k * world.samples + i] = i / kPerDomain == k ? 0.9F : 0.001F;
    }
  }
  return world;
}

void always_says_mine(World& world, std::size_t client) {
  std::fill_n(world.confidences.begin() + static_cast<std::ptrdiff_t>(client * world.samples),
              world.samples, 1.0F);
}

// All clients see the first class everywhere, but one (or none: kDomains), which sees the second.
void everybody_agrees_but(World& world, std::size_t liar) {
  for (std::size_t j = 0; j < world.clients * world.samples; ++j) {
    const std::size_t seen = j / world.samples == liar ? 1 : 0;
    for (std::size_t c = 0; c < world.classes; ++c) {
      world.logits[j * world.classes + c] = c == seen ? 4.0F : 0.0F;
    }
  }
}

double total_weight(const Combined& out, std::size_t client, std::size_t samples) {
  double sum = 0.0;
  for (std::size_t i = 0; i < samples; ++i) sum += weight(out, client, i);
  return sum / static_cast<double>(samples);
}

TEST(BoundedOdds, MatchItsFormula) {
  for (const double clip : {1.5, 3.0, 1e9}) {
    World world = make_world(5, 40, 4, 1);
    world.confidences[0] = 0.0F;
    world.confidences[41] = 1.0F;
    expect_weights(*make_rule("bounded-odds", {.ratio_clip = clip, .share_cap = 1.0}), world,
                   [&](const World& w, std::size_t k, std::size_t i) {
                     return static_cast<double>(w.counts[k]) * w.trust(k) *
                            std::min(w.odds(k, i) / w.mean_odds(k), clip);
                   });
  }
}

TEST(BoundedOdds, CapTheShareAClientClaims) {
  World world = make_world(3, 10, 2, 2);
  world.counts = {1'000'000'000, 60, 40};
  expect_weights(*make_rule("bounded-odds", {.share_cap = 0.5}), world,
                 [](const World& w, std::size_t k, std::size_t i) {
                   const double share[3] = {0.5, 0.3, 0.2};
                   return share[k] * w.trust(k) * std::min(w.odds(k, i) / w.mean_odds(k), 5.0);
                 });
}

TEST(BoundedOdds, AHeadThatAlwaysSaysMineGetsNoMoreThanItsShare) {
  World world = make_world(10, 200, 3, 3);
  std::ranges::fill(world.counts, 100);
  std::ranges::fill(world.confidences, 0.5F);  // identically distributed clients
  always_says_mine(world, 4);
  const Combined bounded = combine_world(*make_rule("bounded-odds"), world);
  const Combined odds = combine_world(*make_rule("dlad-odds"), world);
  EXPECT_LE(total_weight(bounded, 4, world.samples), 0.1 + 1e-6);
  EXPECT_GT(total_weight(odds, 4, world.samples), 0.98);
}

// Wrong wherever the others know: it is trusted nowhere.
TEST(BoundedOdds, ALiarThatContradictsEverybodyLosesItsWeight) {
  World world = specialists();
  always_says_mine(world, 0);
  everybody_agrees_but(world, 0);
  const Combined out = combine_world(*make_rule("bounded-odds"), world);
  for (std::size_t i = kPerDomain; i < world.samples; ++i) {
    EXPECT_LE(weight(out, 0, i), 1e-6);
    EXPECT_GT(weight(out, i / kPerDomain, i), 0.95);
  }
  const Combined unbounded = combine_world(*make_rule("dlad-odds"), world);
  EXPECT_GT(total_weight(unbounded, 0, world.samples), 0.98);
}

// Claiming everything is no lie where the client is right: its share remains, and no more.
TEST(BoundedOdds, AClientThatKnowsEverythingKeepsItsShare) {
  World world = specialists();
  always_says_mine(world, 0);
  everybody_agrees_but(world, kDomains);
  const Combined out = combine_world(*make_rule("bounded-odds"), world);
  for (std::size_t i = kPerDomain; i < world.samples; ++i) {
    EXPECT_NEAR(weight(out, 0, i), 1.0 / (1.0 + 5.0), 2e-3);
  }
}

TEST(BoundedOdds, OneClientAloneIsNotContradicted) {
  const World world = make_world(1, 20, 3, 8);
  EXPECT_EQ(weight(combine_world(*make_rule("bounded-odds"), world), 0, 7), 1.0);
}

TEST(BoundedOdds, AHonestSpecialistDecidesItsDomain) {
  const World world = specialists();
  const Combined out = combine_world(*make_rule("bounded-odds"), world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    EXPECT_GT(weight(out, i / kPerDomain, i), 0.95) << i;
  }
}

TEST(BoundedOdds, FallBackToTheMeanOnAForeignPool) {
  World world = make_world(4, 50, 3, 5);
  for (std::size_t j = 0; j < world.confidences.size(); ++j) {
    world.confidences[j] = j % 17 == 0 ? 0.02F : 0.001F;
  }
  ASSERT_TRUE(facts_of(world).foreign_pool());
  expect_weights(*make_rule("bounded-odds"), world,
                 [](const World&, std::size_t, std::size_t) { return 1.0; });
}

// Thirty clients who each know a thirtieth: every mean confidence is low, but every image is known.
TEST(BoundedOdds, ManyNarrowSpecialistsAreNotAForeignPool) {
  World world = make_world(30, 300, 2, 6);
  for (std::size_t k = 0; k < 30; ++k) {
    for (std::size_t i = 0; i < 300; ++i) {
      world.confidences[k * 300 + i] = i / 10 == k ? 0.95F : 0.001F;
    }
  }
  const ClientFacts facts = facts_of(world);
  ASSERT_LT(facts.mean_confidence[0].item<double>(), 0.05);
  EXPECT_FALSE(facts.foreign_pool());
  const Combined out = combine_world(*make_rule("bounded-odds"), world, facts);
  EXPECT_GT(weight(out, 0, 5), 0.4);
}

}  // namespace
}  // namespace fedstill
