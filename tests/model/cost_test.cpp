#include "model/cost.h"

#include <gtest/gtest.h>

#include <limits>

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

TEST(Cost, CountsWindowsAndPadding) {
  GraphBuilder build("test", {2, 8, 8}, 1);
  const int conv = build.conv(0, {.out = 3, .kernel = 5});  // padded by 2
  const int pool = build.pool(conv, Op::kMaxPool, 4, 2);    // [3, 3, 3]
  const int mean = build.unary(pool, Op::kGlobalAveragePool);
  const auto costs = node_costs(std::move(build).finish(build.unary(mean, Op::kReLU)));
  EXPECT_EQ(costs[1].padded_bytes, 2 * 12 * 12 * 4);
  EXPECT_EQ(costs[1].operations, costs[1].multiply_adds);
  EXPECT_EQ(costs[2].operations, 3 * 3 * 3 * 16);
  EXPECT_EQ(costs[2].multiply_adds, 0);
  EXPECT_EQ(costs[3].operations, 3 * 3 * 3);
  EXPECT_EQ(costs[4].operations, 3);
}

// A value lives until its last reader has run.
TEST(Cost, PeakIsOfWhatLivesAtOnce) {
  GraphBuilder build("test", {1, 4, 4}, 1);
  const int first = build.unary(0, Op::kReLU), second = build.unary(first, Op::kTanh);
  const int joined = build.binary(first, second, Op::kConcat);
  const Graph graph = std::move(build).finish(build.unary(joined, Op::kGlobalAveragePool));
  EXPECT_EQ(peak_activation_bytes(graph), (1 + 1 + 2) * 16 * 4);
  EXPECT_LT(peak_activation_bytes(make_model("resnet20", {3, 32, 32}, 10, 1)),
            total_cost(make_model("resnet20", {3, 32, 32}, 10, 1)).activation_bytes / 4);
}

// Each step is within the limits of a graph; all of them together are beyond 64 bits.
TEST(Cost, StaysAtTheLargestNumber) {
  GraphBuilder build("test", {1, 1, 1}, 1);
  int node = build.unary(0, Op::kUpsample);
  Graph graph = std::move(build).finish(node);
  graph.nodes[1].attributes.scale = 40000;
  for (int i = 0; i < 80; ++i) {
    Node pool{.name = "pool" + std::to_string(i), .op = Op::kMaxPool, .inputs = {1}};
    pool.attributes.kernel = {20000, 20000};
    graph.nodes.push_back(pool);
  }
  EXPECT_EQ(total_cost(graph).operations, std::numeric_limits<std::int64_t>::max());
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
