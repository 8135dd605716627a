#include "training/chain/chain_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "model/builder.h"
#include "model/zoo.h"

namespace fedstill::chain {
namespace {

using ::testing::HasSubstr;

std::string refusal(const Graph& graph) {
  try {
    plan_chain(graph);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

TEST(ChainPlan, TakesLayersTogether) {
  const ChainPlan plan = plan_chain(make_model("lenet5", {1, 28, 28}, 10, 0));
  ASSERT_EQ(plan.stages.size(), 5U);
  const auto& second = std::get<ConvStage>(plan.stages[1]);
  EXPECT_EQ(second.height, 14);
  EXPECT_EQ(second.channels, 6);
  EXPECT_EQ(second.pool, 2);
  EXPECT_TRUE(second.rectify);
  EXPECT_EQ(second.out_height, 5);
  const auto& third = std::get<LinearStage>(plan.stages[2]);
  EXPECT_EQ(third.in(), 5 * 5 * 16);
  EXPECT_TRUE(third.rectify);
  EXPECT_FALSE(std::get<LinearStage>(plan.stages[4]).rectify);
  EXPECT_EQ(plan.classes(), 10);
}

TEST(ChainPlan, NamesWhatDoesNotBelong) {
  EXPECT_THAT(refusal(make_model("resnet8", {1, 28, 28}, 10, 0)), HasSubstr("BatchNorm"));

  GraphBuilder overlapping("x", {1, 16, 16}, 0);
  int node = overlapping.pool(overlapping.conv(0, {.out = 4}), Op::kMaxPool, 3, 2);
  node = overlapping.linear(overlapping.unary(node, Op::kFlatten), 3);
  EXPECT_THAT(refusal(std::move(overlapping).finish(node)), HasSubstr("overlap"));

  GraphBuilder branching("x", {4}, 0);
  const int left = branching.linear(0, 3), right = branching.linear(0, 3);
  EXPECT_THAT(refusal(std::move(branching).finish(branching.binary(left, right, Op::kAdd))),
              HasSubstr("no plain chain"));

  GraphBuilder rectified("x", {4}, 0);
  node = rectified.unary(rectified.linear(0, 3), Op::kReLU);
  EXPECT_THAT(refusal(std::move(rectified).finish(node)), HasSubstr("logits"));

  GraphBuilder grouped("x", {4, 16, 16}, 0);
  node = grouped.unary(grouped.conv(0, {.out = 4, .groups = 4}), Op::kFlatten);
  EXPECT_THAT(refusal(std::move(grouped).finish(grouped.linear(node, 2))), HasSubstr("groups"));
}

}  // namespace
}  // namespace fedstill::chain
