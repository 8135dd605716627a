#include "model/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fedstill {
namespace {

double variance(const Tensor& tensor) {
  double sum = 0.0;
  for (const float x : tensor.values<float>()) sum += double{x} * double{x};
  return sum / static_cast<double>(tensor.size());
}

TEST(GraphBuilder, NamesNodesAndParametersReadably) {
  GraphBuilder build("test", {3, 8, 8}, 1);
  const int first = build.conv_bn_relu(0, {.out = 4});
  const int second = build.conv(first, {.out = 4});
  const Graph graph = std::move(build).finish(second);
  EXPECT_EQ(graph.architecture, "test");
  EXPECT_EQ(graph.nodes[0].name, "input");
  EXPECT_EQ(graph.nodes[1].name, "conv1");
  EXPECT_EQ(
      graph.nodes[2].parameters,
      (std::vector<std::string>{"bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"}));
  EXPECT_EQ(graph.nodes[4].parameters, (std::vector<std::string>{"conv2.weight", "conv2.bias"}));
}

TEST(GraphBuilder, InfersChannelsAndPadsToTheSameSize) {
  GraphBuilder build("test", {3, 9, 9}, 1);
  EXPECT_EQ(build.shape(build.conv(0, {.out = 4, .kernel = 5})), (SampleShape{4, 9, 9}));
  EXPECT_EQ(build.shape(build.conv(0, {.out = 4, .kernel = 5, .padding = 0})),
            (SampleShape{4, 5, 5}));
  const int pooled = build.pool(0, Op::kMaxPool, 2, 2);
  EXPECT_EQ(build.shape(pooled), (SampleShape{3, 4, 4}));
  const Graph graph = std::move(build).finish(pooled);
  EXPECT_EQ(graph.tensors.at("conv1.weight").shape(), (std::vector<std::int64_t>{4, 3, 5, 5}));
}

TEST(GraphBuilder, InitialisesByFanIn) {
  GraphBuilder build("test", {64, 8, 8}, 1);
  int node = build.conv(0, {.out = 256});
  node = build.conv(node, {.out = 256, .groups = 256});
  node = build.linear(build.unary(node, Op::kGlobalAveragePool), 512);
  node = build.linear(build.unary(node, Op::kReLU), 200);
  const Graph graph = std::move(build).finish(node);
  EXPECT_NEAR(variance(graph.tensors.at("conv1.weight")) * 64 * 9, 2.0, 0.05);
  EXPECT_NEAR(variance(graph.tensors.at("conv2.weight")) * 9, 2.0, 0.25);
  EXPECT_NEAR(variance(graph.tensors.at("fc1.weight")) * 256, 2.0, 0.05);
  EXPECT_NEAR(variance(graph.tensors.at("fc2.weight")) * 512, 1.0, 0.05);
  EXPECT_EQ(variance(graph.tensors.at("fc1.bias")), 0.0);
}

TEST(GraphBuilder, BatchNormStartsAsTheIdentity) {
  GraphBuilder build("test", {3, 8, 8}, 1);
  const int node = build.batch_norm(0);
  const Graph graph = std::move(build).finish(node);
  const auto all = [&](const char* name, float value) {
    const auto values = graph.tensors.at(name).values<float>();
    return std::ranges::all_of(values, [value](float x) { return x == value; });
  };
  EXPECT_TRUE(all("bn1.weight", 1.0F));
  EXPECT_TRUE(all("bn1.running_var", 1.0F));
  EXPECT_TRUE(all("bn1.bias", 0.0F));
  EXPECT_TRUE(all("bn1.running_mean", 0.0F));
}

TEST(GraphBuilder, WeightsDependOnSeedAndNameOnly) {
  const auto weight = [](std::uint64_t seed, bool with_extra) {
    GraphBuilder build("test", {3, 8, 8}, seed);
    const int first = build.conv(0, {.out = 4});
    if (with_extra) build.linear(build.unary(first, Op::kFlatten), 3);
    return std::move(build).finish(first).tensors.at("conv1.weight");
  };
  EXPECT_EQ(weight(1, false), weight(1, true));
  EXPECT_NE(weight(1, false), weight(2, false));
}

TEST(GraphBuilder, DoesNotRepeatWeightsFromLayerToLayer) {
  GraphBuilder build("test", {4, 8, 8}, 1);
  const int node = build.conv(build.conv(0, {.out = 4}), {.out = 4});
  const Graph graph = std::move(build).finish(node);
  EXPECT_NE(graph.tensors.at("conv1.weight"), graph.tensors.at("conv2.weight"));
}

TEST(GraphBuilder, RefusesWhatDoesNotFit) {
  GraphBuilder build("test", {3, 8, 8}, 1);
  EXPECT_THROW(build.linear(0, 10), std::invalid_argument);
  EXPECT_THROW(build.conv(7, {.out = 4}), std::invalid_argument);
  EXPECT_THROW(build.conv(-1, {.out = 4}), std::invalid_argument);
  EXPECT_THROW(build.conv(0, {.out = 0}), std::invalid_argument);
  EXPECT_THROW(build.conv(0, {.out = 4, .stride = 0}), std::invalid_argument);
  EXPECT_THROW(build.pool(0, Op::kReLU, 2, 2), std::invalid_argument);
  EXPECT_THROW(build.pool(0, Op::kMaxPool, 9, 1), std::invalid_argument);
  EXPECT_THROW(build.reshape(0, {5}), std::invalid_argument);
  EXPECT_THROW(build.unary(0, Op::kInput), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
