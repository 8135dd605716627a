#pragma once

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/aggregation/world.h"

namespace fedstill {

// What every rule must show, whatever its formula.
class RuleContract : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Rule> rule_ = make_rule(GetParam());

  static void expect_distributions(const Combined& out) {
    const auto samples = static_cast<std::size_t>(out.labels.size(0));
    for (std::size_t i = 0; i < samples; ++i) {
      double labels = 0.0, weights = 0.0;
      for (std::size_t c = 0; c < static_cast<std::size_t>(out.labels.size(1)); ++c) {
        EXPECT_GE(label(out, i, c), 0.0);
        labels += label(out, i, c);
      }
      for (std::size_t k = 0; k < static_cast<std::size_t>(out.weights.size(0)); ++k) {
        EXPECT_GE(weight(out, k, i), 0.0);
        weights += weight(out, k, i);
      }
      ASSERT_NEAR(labels, 1.0, 1e-5) << "sample " << i;  // also fails on NaN
      ASSERT_NEAR(weights, 1.0, 1e-5) << "sample " << i;
    }
  }

  // The clients in another order.
  static World reversed(const World& world) {
    World out = world;
    const std::size_t part = world.samples * world.classes;
    for (std::size_t k = 0; k < world.clients; ++k) {
      const std::size_t from = world.clients - 1 - k;
      std::copy_n(world.logits.begin() + static_cast<std::ptrdiff_t>(from * part), part,
                  out.logits.begin() + static_cast<std::ptrdiff_t>(k * part));
      std::copy_n(world.confidences.begin() + static_cast<std::ptrdiff_t>(from * world.samples),
                  world.samples,
                  out.confidences.begin() + static_cast<std::ptrdiff_t>(k * world.samples));
      out.counts[k] = world.counts[from];
    }
    return out;
  }
};

TEST_P(RuleContract, LabelsAndWeightsAreDistributions) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    expect_distributions(combine_world(*rule_, make_world(2 + seed, 40, 3 + seed, seed)));
  }
}

TEST_P(RuleContract, TheOrderOfTheClientsDoesNotMatter) {
  const World world = make_world(6, 50, 5, 11), other = reversed(world);
  const Combined a = combine_world(*rule_, world), b = combine_world(*rule_, other);
  for (std::size_t i = 0; i < world.samples; ++i) {
    for (std::size_t c = 0; c < world.classes; ++c) {
      EXPECT_NEAR(label(a, i, c), label(b, i, c), 1e-6);
    }
    for (std::size_t k = 0; k < world.clients; ++k) {
      EXPECT_NEAR(weight(a, k, i), weight(b, world.clients - 1 - k, i), 1e-6);
    }
  }
}

TEST_P(RuleContract, TheBlockSizeDoesNotMatterToTheBit) {
  const World world = make_world(5, 601, 10, 12);
  const ClientFacts facts = facts_of(world);
  const at::Tensor logits = logits_of(world), confidences = confidences_of(world);
  const Combined whole = combine_world(*rule_, world, facts);
  for (const std::int64_t block : {1, 7, 256, 600}) {
    std::vector<at::Tensor> labels, weights;
    for (std::int64_t begin = 0; begin < 601; begin += block) {
      const std::int64_t count = std::min<std::int64_t>(block, 601 - begin);
      const Combined part = rule_->combine({.logits = logits.narrow(1, begin, count),
                                            .confidences = confidences.narrow(1, begin, count),
                                            .facts = facts});
      labels.push_back(part.labels);
      weights.push_back(part.weights);
    }
    EXPECT_TRUE(at::equal(at::cat(labels, 0), whole.labels)) << block;
    EXPECT_TRUE(at::equal(at::cat(weights, 1), whole.weights)) << block;
  }
}

// The standardised mean changes the scale of the logits by design: there the order must stay.
TEST_P(RuleContract, OneClientIsItsOwnTeacher) {
  const World world = make_world(1, 40, 6, 13);
  const Combined out = combine_world(*rule_, world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    EXPECT_EQ(weight(out, 0, i), 1.0);
    const auto expected = world.softmax(0, i);
    for (std::size_t c = 0; c < world.classes; ++c) {
      if (GetParam() == "mean-logit-standardised") {
        for (std::size_t d = 0; d < world.classes; ++d) {
          EXPECT_EQ(label(out, i, c) < label(out, i, d), expected[c] < expected[d]);
        }
      } else {
        EXPECT_NEAR(label(out, i, c), expected[c], 1e-6);
      }
    }
  }
}

TEST_P(RuleContract, ExtremePredictionsGiveFiniteLabels) {
  World world = make_world(4, 64, 3, 14);
  for (std::size_t j = 0; j < world.logits.size(); ++j) {
    world.logits[j] = random_below(15, j, 2) == 0 ? 1e4F : -1e4F;
  }
  for (std::size_t j = 0; j < world.confidences.size(); ++j) {
    world.confidences[j] = random_below(16, j, 2) == 0 ? 0.0F : 1.0F;
  }
  world.counts = {0, 0, 1, 1'000'000'000'000};
  expect_distributions(combine_world(*rule_, world));
  std::ranges::fill(world.confidences, 0.0F);
  expect_distributions(combine_world(*rule_, world));
  std::ranges::fill(world.counts, 0);
  expect_distributions(combine_world(*rule_, world));
  std::ranges::fill(world.logits, 0.0F);
  expect_distributions(combine_world(*rule_, world));
}

TEST_P(RuleContract, AgreementIsKept) {
  World world = make_world(5, 30, 4, 17);
  const std::size_t part = world.samples * world.classes;
  for (std::size_t j = part; j < world.logits.size(); ++j) world.logits[j] = world.logits[j % part];
  const Combined out = combine_world(*rule_, world);
  for (std::size_t i = 0; i < world.samples; ++i) {
    const auto expected = world.softmax(0, i);
    const auto top =
        static_cast<std::size_t>(std::ranges::max_element(expected) - expected.begin());
    for (std::size_t c = 0; c < world.classes; ++c) EXPECT_LE(label(out, i, c), label(out, i, top));
  }
}

}  // namespace fedstill
