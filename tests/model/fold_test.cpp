#include "model/fold.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/zoo.h"
#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

std::ptrdiff_t count(const Graph& graph, Op op) {
  return std::ranges::count_if(graph.nodes, [op](const Node& node) { return node.op == op; });
}

// Folds and checks that every output stays the same up to the rounding of the weights.
Graph fold_and_compare(const Graph& graph) {
  Graph folded = fold_batch_norm(graph);
  const auto sample = tests::random_sample(graph, 31);
  for (const auto& entry : graph.outputs) {
    const auto expected = tests::naive_output(graph, sample, entry.first);
    const auto found = tests::naive_output(folded, sample, entry.first);
    EXPECT_EQ(found.size(), expected.size());
    double largest = 1.0;
    for (const double x : expected) largest = std::max(largest, std::abs(x));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], 1e-5 * largest) << entry.first;
    }
  }
  return folded;
}

Graph finish(GraphBuilder build, int output) {
  Graph graph = std::move(build).finish(output);
  tests::randomise_parameters(graph, 17);
  return graph;
}

TEST(Fold, RemovesEveryBatchNormOfTheZoo) {
  for (const std::string_view name : {"cnn3", "resnet8", "mobilenetv2-small", "ghostnet-small"}) {
    Graph graph = make_model(name, {1, 16, 16}, 10, 1);
    tests::randomise_parameters(graph, 2);
    // Moderate filters keep the figures of a deep net comparable with those of a shallow one.
    for (const Node& node : graph.nodes) {
      if (node.op != Op::kConv2d) continue;
      for (float& w : graph.tensors.at(node.parameters[0]).values<float>()) w *= 0.2F;
    }
    const Graph folded = fold_and_compare(graph);
    EXPECT_EQ(count(folded, Op::kBatchNorm), 0) << name;
    EXPECT_EQ(folded.architecture, name);
  }
}

TEST(Fold, KeepsAGraphWithoutBatchNormAsItIs) {
  const Graph graph = make_model("lenet5", {1, 16, 16}, 10, 1);
  EXPECT_EQ(fold_batch_norm(graph), graph);
}

TEST(Fold, AgreesOnEveryOperator) {
  const Graph graph = tests::every_operator_graph(6);
  const Graph folded = fold_and_compare(graph);
  EXPECT_EQ(count(folded, Op::kBatchNorm), 0);
  EXPECT_EQ(count(folded, Op::kDropout), 0);
}

TEST(Fold, AddsABiasOnlyWhereThereWasNone) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int node = build.batch_norm(build.conv(build.conv_bn(0, {.out = 3}), {.out = 3}));
  const Graph folded = fold_and_compare(finish(std::move(build), node));
  EXPECT_EQ(folded.nodes[1].parameters, (std::vector<std::string>{"conv1.weight", "conv1.bias"}));
  EXPECT_EQ(folded.tensors.size(), 4U);
}

TEST(Fold, FoldsTwoInARow) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int node = build.batch_norm(build.conv_bn(0, {.out = 3}));
  EXPECT_EQ(fold_and_compare(finish(std::move(build), node)).nodes.size(), 2U);
}

TEST(Fold, LooksThroughDropout) {
  GraphBuilder build("test", {6}, 1);
  const int node = build.batch_norm(build.dropout(build.linear(0, 4), 0.5F));
  EXPECT_EQ(fold_and_compare(finish(std::move(build), node)).nodes.size(), 2U);
}

TEST(Fold, LeavesALayerThatSomebodyElseReads) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int conv = build.conv(0, {.out = 3});
  const int node = build.binary(build.batch_norm(conv), conv, Op::kAdd);
  EXPECT_EQ(count(fold_and_compare(finish(std::move(build), node)), Op::kBatchNorm), 1);
}

TEST(Fold, LeavesALayerThatSomebodyReadsThroughADropout) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int dropped = build.dropout(build.conv(0, {.out = 3}), 0.5F);
  const int node = build.binary(build.batch_norm(dropped), dropped, Op::kAdd);
  EXPECT_EQ(count(fold_and_compare(finish(std::move(build), node)), Op::kBatchNorm), 1);
}

TEST(Fold, LeavesALayerWhoseValueIsAnOutput) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int conv = build.conv(0, {.out = 3});
  const int node = build.batch_norm(conv);
  Graph graph = finish(std::move(build), node);
  graph.outputs["before"] = conv;
  EXPECT_EQ(count(fold_and_compare(graph), Op::kBatchNorm), 1);
}

TEST(Fold, LeavesABatchNormBehindSomethingElse) {
  GraphBuilder build("test", {2, 5, 5}, 1);
  const int node = build.batch_norm(build.unary(build.conv(0, {.out = 3}), Op::kReLU));
  EXPECT_EQ(count(fold_and_compare(finish(std::move(build), node)), Op::kBatchNorm), 1);
}

TEST(Fold, KeepsAnOutputThatWasADropout) {
  GraphBuilder build("test", {6}, 1);
  const int linear = build.linear(0, 4);
  const int node = build.dropout(linear, 0.5F);
  EXPECT_EQ(fold_and_compare(finish(std::move(build), node)).output("logits"), linear);
}

}  // namespace
}  // namespace fedstill
