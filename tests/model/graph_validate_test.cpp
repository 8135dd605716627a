#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <stdexcept>

#include "model/graph.h"
#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Graph small_graph() {
  GraphBuilder build("small", {1, 8, 8}, 1);
  const int node = build.conv_bn_relu(0, {.out = 4});
  return std::move(build).finish(build.linear(build.unary(node, Op::kGlobalAveragePool), 3));
}

// Damages a valid graph and expects the message.
void expect_refused(const std::function<void(Graph&)>& damage, const std::string& message) {
  Graph graph = small_graph();
  damage(graph);
  EXPECT_THAT([&] { validate(graph); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("[graph]"), HasSubstr(message))))
      << message;
}

Node& conv(Graph& graph) { return graph.nodes[1]; }

TEST(Validate, AcceptsGoodGraphs) {
  EXPECT_NO_THROW(validate(small_graph()));
  EXPECT_NO_THROW(validate(tests::every_operator_graph(3)));
}

TEST(Validate, NamesTheNodeTheShapesAndTheChannels) {
  expect_refused(
      [](Graph& g) {
        g.tensors.at("conv1.weight") = Tensor(DType::kF32, {4, 3, 3, 3});
      },
      "[graph] node 'conv1' (Conv2d): weight is [4, 3, 3, 3], input has 1 channels");
  expect_refused([](Graph& g) { g.tensors.at("fc1.bias") = Tensor(DType::kF32, {4}); },
                 "[graph] node 'fc1' (Linear): bias is [4], input has 4 features");
}

TEST(Validate, RefusesInputsThatAreNotEarlierNodes) {
  for (const int input : {-1, 1, 2, 1000, std::numeric_limits<int>::min()}) {
    expect_refused([input](Graph& g) { conv(g).inputs = {input}; }, "is not an earlier node");
  }
}

TEST(Validate, RefusesAWrongNumberOfInputs) {
  expect_refused([](Graph& g) { conv(g).inputs = {}; }, "has 0 inputs");
  expect_refused([](Graph& g) { conv(g).inputs = {0, 0}; }, "has 2 inputs");
  expect_refused([](Graph& g) { g.nodes[3].op = Op::kAdd; }, "has 1 inputs");
}

TEST(Validate, RefusesMoreOrFewerThanOneInputNode) {
  expect_refused([](Graph& g) { g.nodes[0].op = Op::kReLU; }, "the first node");
  expect_refused([](Graph& g) { g.nodes[3] = {.name = "again", .op = Op::kInput}; },
                 "the first node");
  expect_refused([](Graph& g) { g.nodes.clear(); }, "there are no nodes");
}

TEST(Validate, RefusesBadNames) {
  expect_refused([](Graph& g) { conv(g).name = ""; }, "no name");
  expect_refused([](Graph& g) { conv(g).name = "bn1"; }, "used twice");
  expect_refused([](Graph& g) { conv(g).name = std::string(513, 'x'); }, "longer than");
  expect_refused([](Graph& g) { conv(g).op = static_cast<Op>(200); }, "unknown operator");
}

TEST(Validate, RefusesMissingForeignAndSharedParameters) {
  expect_refused([](Graph& g) { g.tensors.erase("conv1.weight"); }, "is missing");
  expect_refused([](Graph& g) { conv(g).parameters = {}; }, "has 0 parameters");
  expect_refused([](Graph& g) { g.nodes[2].parameters.pop_back(); }, "has 3 parameters");
  expect_refused([](Graph& g) { g.nodes[3].parameters = {"bn1.bias"}; }, "has 1 parameters");
  expect_refused([](Graph& g) { g.tensors.emplace("stray", Tensor()); }, "belongs to no node");
  expect_refused([](Graph& g) { g.nodes[2].parameters[1] = "bn1.weight"; }, "is used twice");
}

TEST(Validate, RefusesParametersThatAreNotFloatsButInferShapesDoesNot) {
  Graph graph = small_graph();
  graph.tensors.at("fc1.weight") = Tensor(DType::kI8, {3, 4});
  EXPECT_NO_THROW(infer_shapes(graph));
  EXPECT_THAT([&] { validate(graph); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is I8, expected F32")));
}

TEST(Validate, RefusesOutputsThatAreNotThere) {
  expect_refused([](Graph& g) { g.outputs.clear(); }, "no outputs");
  expect_refused([](Graph& g) { g.outputs["logits"] = -1; }, "names node -1");
  expect_refused([](Graph& g) { g.outputs["logits"] = 6; }, "names node 6 of 6");
  expect_refused([](Graph& g) { g.outputs[""] = 1; }, "name");
}

TEST(Validate, RefusesAttributesOutOfRange) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, most, -most}) {
    expect_refused([=](Graph& g) { conv(g).attributes.kernel = {3, bad}; }, "kernel is");
    expect_refused([=](Graph& g) { conv(g).attributes.stride = {bad, 1}; }, "stride is");
    expect_refused([=](Graph& g) { conv(g).attributes.dilation = {bad, 1}; }, "dilation is");
    expect_refused([=](Graph& g) { conv(g).attributes.groups = bad; }, "groups is");
    expect_refused([=](Graph& g) { conv(g).attributes.out_features = bad; }, "out_features is");
    expect_refused([=](Graph& g) { g.nodes[5].attributes.out_features = bad; }, "out_features is");
    expect_refused([=](Graph& g) { g.nodes[0].attributes.shape = {1, bad, 8}; }, "size is");
  }
  expect_refused([=](Graph& g) { conv(g).attributes.padding = {-1, 0}; }, "padding is");
  expect_refused([](Graph& g) { conv(g).attributes.groups = 3; }, "not a multiple of groups");
  expect_refused([](Graph& g) { conv(g).attributes.groups = 2; }, "input has 1 channels");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_refused([=](Graph& g) { g.nodes[2].attributes.epsilon = nan; }, "epsilon");
  expect_refused([=](Graph& g) { g.nodes[2].attributes.epsilon = 0.0F; }, "epsilon");
}

TEST(Validate, HoldsTheLimits) {
  const Graph graph = small_graph();
  EXPECT_THROW(validate(graph, {.max_nodes = 5}), std::invalid_argument);
  EXPECT_NO_THROW(validate(graph, {.max_nodes = 6}));
  EXPECT_THROW(validate(graph, {.max_dimension = 9}), std::invalid_argument);
  EXPECT_NO_THROW(validate(graph, {.max_dimension = 10}));
  EXPECT_THROW(validate(graph, {.max_elements = 255}), std::invalid_argument);
  EXPECT_NO_THROW(validate(graph, {.max_elements = 256}));
}

TEST(Validate, SurvivesAChainThatGrowsWithoutEnd) {
  Graph graph = small_graph();
  graph.nodes.resize(1);
  graph.tensors.clear();
  for (int i = 1; i < 100; ++i) {
    Node node{.name = "up" + std::to_string(i), .op = Op::kUpsample, .inputs = {i - 1}};
    node.attributes.scale = 1 << 20;
    graph.nodes.push_back(node);
  }
  EXPECT_THAT([&] { validate(graph); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("exceeds the limits")));
}

TEST(InferShapes, FollowsAConvolutionAndAPool) {
  const auto shapes = infer_shapes(small_graph());
  EXPECT_EQ(shapes[1], (SampleShape{4, 8, 8}));
  EXPECT_EQ(shapes[4], (SampleShape{4}));
  EXPECT_EQ(shapes[5], (SampleShape{3}));
}

TEST(InferShapes, NamesTheNodeWhoseInputIsSmallerThanTheKernel) {
  Graph graph = small_graph();
  graph.nodes[0].attributes.shape = {1, 8, 2};
  conv(graph).attributes.padding = {1, 0};
  EXPECT_THAT([&] { infer_shapes(graph); },
              ThrowsMessage<std::invalid_argument>(AllOf(
                  HasSubstr("node 'conv1' (Conv2d)"),
                  HasSubstr("width 2 with padding 0 is smaller than the kernel's extent 3"))));
}

}  // namespace
}  // namespace fedstill
