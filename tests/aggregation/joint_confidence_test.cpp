#include "aggregation/joint_confidence.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/aggregation/world.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

std::vector<double> joint(const World& world, const RuleOptions& options = {}) {
  const TemporaryFolder folder;
  PredictionCache cache = PredictionCache::open_or_create(folder.path() / "cache", key_of(world));
  write_world(cache, world);
  const at::Tensor h = joint_confidence(cache, facts_of(world), options);
  return {h.const_data_ptr<float>(), h.const_data_ptr<float>() + h.numel()};
}

TEST(JointConfidence, MatchesItsFormula) {
  const World world = make_world(4, 30, 3, 11);
  double all = 0.0;
  for (std::size_t k = 0; k < 4; ++k) all += static_cast<double>(world.counts[k]) * world.trust(k);
  for (const double clip : {1.2, 5.0}) {
    const std::vector<double> h = joint(world, {.ratio_clip = clip, .share_cap = 1.0});
    for (std::size_t i = 0; i < world.samples; ++i) {
      double ratio = 0.0;
      for (std::size_t k = 0; k < 4; ++k) {
        ratio += static_cast<double>(world.counts[k]) * world.trust(k) / all *
                 std::min(world.odds(k, i) / world.mean_odds(k), clip);
      }
      EXPECT_NEAR(h[i], ratio / (1.0 + ratio), 1e-6);
    }
  }
}

// Two of ten domains of the pool are a client's: together the clients know four of them.
TEST(JointConfidence, KnowsWhatAnyOfTheClientsKnows) {
  World world = make_world(2, 100, 3, 12);
  world.counts = {500, 500};
  for (std::size_t i = 0; i < 100; ++i) {
    world.confidences[i] = i < 20 ? 0.9F : 0.01F;
    world.confidences[100 + i] = i >= 20 && i < 40 ? 0.9F : 0.01F;
  }
  const std::vector<double> h = joint(world);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_GT(h[i], 0.6);
  for (std::size_t i = 40; i < 100; ++i) EXPECT_LT(h[i], 0.05);
}

// One of three says that it has a billion images and knows everything.
TEST(JointConfidence, NoClientSpeaksForMoreThanItsShare) {
  World world = make_world(3, 100, 3, 14);
  world.counts = {1'000'000'000, 500, 500};
  for (std::size_t i = 0; i < 100; ++i) {
    world.confidences[i] = 1.0F;
    world.confidences[100 + i] = world.confidences[200 + i] = i < 20 ? 0.9F : 0.01F;
    for (std::size_t c = 0; c < 9; ++c) world.logits[(c / 3 * 100 + i) * 3 + c % 3] = 0.0F;
  }
  const std::vector<double> h = joint(world);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_GT(h[i], 0.7);  // (½ · 1 + ½ · 4.9) / (1 + …)
  for (std::size_t i = 20; i < 100; ++i) EXPECT_LT(h[i], 0.36);  // (½ · 1 + ½ · 0.005) / (1 + …)
}

TEST(JointConfidence, AMissingClientIsRefused) {
  const World world = make_world(2, 10, 3, 13);
  const TemporaryFolder folder;
  const PredictionCache cache =
      PredictionCache::open_or_create(folder.path() / "cache", key_of(world));
  EXPECT_THROW(joint_confidence(cache, facts_of(world)), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
