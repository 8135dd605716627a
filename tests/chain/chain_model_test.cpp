#include "training/chain/chain_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "model/builder.h"
#include "model/random.h"

namespace fedstill::chain {
namespace {

const std::vector<std::int32_t> kLabels{0, 2, 1, 1};

Graph small_chain() {
  GraphBuilder build("small", {2, 9, 8}, 1);
  int node = build.unary(build.conv(0, {.out = 5, .kernel = 3}), Op::kReLU);
  node = build.conv(node, {.out = 18, .kernel = 2, .padding = 1});
  node = build.unary(build.pool(node, Op::kMaxPool, 2, 2), Op::kFlatten);
  node = build.unary(build.linear(node, 6), Op::kReLU);
  return std::move(build).finish(build.linear(node, 3));
}

ChainModel ready_model(const ChainPlan& plan, const std::vector<float>& weights,
                       const Kernels& kernels, bool bf16 = false) {
  ChainModel model(plan, std::ssize(kLabels), bf16, kernels);
  std::ranges::copy(weights, model.weights().begin());
  for (std::int64_t r = 0; r < std::ssize(kLabels); ++r) {
    fill_normal(model.image(r), static_cast<std::uint64_t>(r), 1.0F);
  }
  return model;
}

class ChainModelOf : public ::testing::TestWithParam<const Kernels*> {};

TEST_P(ChainModelOf, MovesAgainstTheSlopeOfTheLoss) {
  const Graph graph = small_chain();
  const ChainPlan plan = plan_chain(graph);
  const std::vector<float> weights = flatten_weights(plan, graph);
  const auto loss_at = [&](std::size_t i, float change) {
    auto moved = weights;
    moved[i] += change;
    return ready_model(plan, moved, *GetParam()).step(kLabels, 0.0F);
  };
  ChainModel model = ready_model(plan, weights, *GetParam());
  model.step(kLabels, 1.0F);
  int checked = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double gradient = static_cast<double>(weights[i] - model.weights()[i]);
    if (weights[i] == 0.0F && gradient == 0.0) continue;  // behind a row
    if (i % 7 != 0) continue;
    constexpr float kChange = 1e-3F;
    const double slope = (loss_at(i, kChange) - loss_at(i, -kChange)) / (2.0 * kChange);
    EXPECT_NEAR(gradient, slope, 5e-3 + 0.02 * std::fabs(slope)) << i;
    ++checked;
  }
  EXPECT_GT(checked, 50);
}

TEST_P(ChainModelOf, LearnsABatchByHeart) {
  const Graph graph = small_chain();
  const ChainPlan plan = plan_chain(graph);
  for (const bool bf16 : {false, true}) {
    ChainModel model = ready_model(plan, flatten_weights(plan, graph), *GetParam(), bf16);
    double loss = 0.0;
    for (int step = 0; step < 200; ++step) loss = model.step(kLabels, 0.05F);
    EXPECT_LT(loss, 0.1);
    const float* const logits = model.forward(std::ssize(kLabels));
    for (std::int64_t r = 0; r < std::ssize(kLabels); ++r) {
      const float* const row = logits + r * model.logits_stride();
      EXPECT_EQ(std::max_element(row, row + 3) - row, kLabels[static_cast<std::size_t>(r)]);
    }
  }
}

// What lies behind rows and images takes no part.
TEST_P(ChainModelOf, PaddingStaysZero) {
  const Graph graph = small_chain();
  const ChainPlan plan = plan_chain(graph);
  for (const bool bf16 : {false, true}) {
    ChainModel model = ready_model(plan, flatten_weights(plan, graph), *GetParam(), bf16);
    for (int step = 0; step < 5; ++step) model.step(kLabels, 0.05F);
    const auto trained = model.weights();
    const Graph kept = unflatten_weights(plan, graph, trained);
    EXPECT_TRUE(std::ranges::equal(flatten_weights(plan, kept), trained));
  }
}

TEST_P(ChainModelOf, InBf16ALossThatIsNoNumberStaysNone) {
  const Graph graph = small_chain();
  const ChainPlan plan = plan_chain(graph);
  ChainModel model = ready_model(plan, flatten_weights(plan, graph), *GetParam(), /*bf16=*/true);
  std::ranges::fill(model.weights(), std::bit_cast<float>(0x7FFFFFFFU));
  EXPECT_TRUE(std::isnan(model.step(kLabels, 0.05F)));
}

INSTANTIATE_TEST_SUITE_P(Machine, ChainModelOf, ::testing::ValuesIn(available_kernels()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fedstill::chain
