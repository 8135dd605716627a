#include "model/cost.h"

#include <gtest/gtest.h>

#include "model/builder.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

TEST(Cost, OfLeNetIsWhatTheTextbookSays) {
  const Cost cost = total_cost(make_model("lenet5", {1, 28, 28}, 10, 1));
  EXPECT_EQ(cost.parameters, 156 + 2416 + 48120 + 10164 + 850);
  EXPECT_EQ(cost.parameter_bytes, 61706 * 4);
  EXPECT_EQ(cost.multiply_adds,
            28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 10);
}

TEST(Cost, CountsGroupsStrideAndRunningStatistics) {
  GraphBuilder build("test", {4, 8, 8}, 1);
  const int node = build.conv_bn_relu(0, {.out = 8, .stride = 2, .groups = 2});
  const auto costs = node_costs(std::move(build).finish(node));
  ASSERT_EQ(costs.size(), 4U);
  EXPECT_EQ(costs[0].parameters, 0);
  EXPECT_EQ(costs[0].activation_bytes, 4 * 8 * 8 * 4);
  EXPECT_EQ(costs[1].parameters, 8 * 2 * 9);
  EXPECT_EQ(costs[1].multiply_adds, 8 * 4 * 4 * 2 * 9);
  EXPECT_EQ(costs[2].parameters, 4 * 8);
  EXPECT_EQ(costs[2].multiply_adds, 0);
  EXPECT_EQ(costs[3].activation_bytes, 8 * 4 * 4 * 4);
}

TEST(Cost, TotalIsTheSumOfItsNodes) {
  const Graph graph = make_model("ghostnet-small", {3, 32, 32}, 10, 1);
  std::int64_t multiply_adds = 0;
  for (const Cost& cost : node_costs(graph)) multiply_adds += cost.multiply_adds;
  EXPECT_EQ(total_cost(graph).multiply_adds, multiply_adds);
  EXPECT_GT(multiply_adds, 0);
}

}  // namespace
}  // namespace fedstill
