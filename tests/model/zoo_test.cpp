#include "model/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::int64_t parameter_count(const Graph& graph) {
  std::int64_t count = 0;
  for (const auto& entry : graph.tensors) count += entry.second.size();
  return count;
}

class Zoo : public ::testing::TestWithParam<std::string_view> {};

INSTANTIATE_TEST_SUITE_P(All, Zoo, ::testing::ValuesIn(zoo_names()), [](const auto& test) {
  std::string name(test.param);
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST_P(Zoo, BuildsForEveryImageItPromises) {
  for (const ImageShape& image : {ImageShape{1, 28, 28}, ImageShape{3, 32, 32},
                                  ImageShape{5, 16, 16}, ImageShape{2, 17, 40}}) {
    const Graph graph = make_model(GetParam(), image, 7, 3);
    EXPECT_EQ(graph.architecture, GetParam());
    EXPECT_EQ(graph.input_shape(), (SampleShape{image.channels, image.height, image.width}));
    EXPECT_EQ(graph.outputs.size(), 1U);
    const auto logits = static_cast<std::size_t>(graph.output("logits"));
    EXPECT_EQ(graph.nodes[logits].op, Op::kLinear);
    EXPECT_EQ(infer_shapes(graph)[logits], (SampleShape{7}));
  }
}

TEST_P(Zoo, HasTheSameBitsForTheSameSeed) {
  const Graph graph = make_model(GetParam(), {1, 16, 16}, 10, 3);
  EXPECT_EQ(graph, make_model(GetParam(), {1, 16, 16}, 10, 3));
  EXPECT_NE(graph, make_model(GetParam(), {1, 16, 16}, 10, 4));
}

TEST_P(Zoo, RefusesSmallImagesByName) {
  for (const ImageShape& image : {ImageShape{1, 15, 28}, ImageShape{1, 28, 15},
                                  ImageShape{0, 28, 28}, ImageShape{1, -1, 28}}) {
    EXPECT_THAT([&] { make_model(GetParam(), image, 10, 1); },
                ThrowsMessage<std::invalid_argument>(
                    AllOf(HasSubstr("[zoo] " + std::string(GetParam())), HasSubstr("16 x 16"))));
  }
  EXPECT_THROW(make_model(GetParam(), {1, 28, 28}, 0, 1), std::invalid_argument);
}

TEST_P(Zoo, PenultimateNodeFeedsTheClassifier) {
  const Graph graph = make_model(GetParam(), {1, 16, 16}, 10, 3);
  const auto at = [&graph](int node) -> const Node& {
    return graph.nodes[static_cast<std::size_t>(node)];
  };
  int fed_by = at(graph.output("logits")).inputs[0];
  if (at(fed_by).op == Op::kDropout) fed_by = at(fed_by).inputs[0];  // identity when predicting
  EXPECT_EQ(penultimate_node(graph), fed_by);
  EXPECT_NE(at(fed_by).op, Op::kDropout);
}

TEST(ZooModels, HaveTheParametersOfTheLiterature) {
  EXPECT_EQ(parameter_count(make_model("lenet5", {1, 28, 28}, 10, 1)), 61706);
  EXPECT_EQ(parameter_count(make_model("mlp", {1, 28, 28}, 10, 1)),
            784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10);
  EXPECT_EQ(parameter_count(make_model("cnn3", {1, 28, 28}, 10, 1)),
            9 * 32 + 9 * 32 * 64 + 9 * 64 * 128 + 4 * (32 + 64 + 128) + 1290);
  // 3 × 3 filters, two projections, four numbers per BatchNorm channel, the classifier.
  EXPECT_EQ(parameter_count(make_model("resnet20", {3, 32, 32}, 10, 1)),
            267696 + 16 * 32 + 32 * 64 + 4 * (7 * 16 + 7 * 32 + 7 * 64) + 650);
}

TEST(ZooModels, MobileNetIsSmallAndDepthwise) {
  const Graph graph = make_model("mobilenetv2-small", {3, 32, 32}, 10, 1);
  EXPECT_NEAR(static_cast<double>(parameter_count(graph)), 300000, 30000);
  EXPECT_TRUE(std::ranges::any_of(graph.nodes, [](const Node& node) {
    return node.op == Op::kConv2d && node.attributes.groups > 1 &&
           node.attributes.groups == node.attributes.out_features;
  }));
  EXPECT_TRUE(
      std::ranges::none_of(graph.nodes, [](const Node& node) { return node.op == Op::kReLU; }));
}

// At the start of training the logits neither vanish nor explode, whatever the depth.
TEST(ZooModels, StartWithModerateLogits) {
  for (const std::string_view name : zoo_names()) {
    if (name == "vgg-small" || name == "resnet8-wide") continue;  // slow in the naive loops
    const Graph graph = make_model(name, {1, 16, 16}, 10, 1);
    double square = 0.0;
    for (const double x : tests::naive_output(graph, tests::random_sample(graph, 2))) {
      square += x * x;
    }
    EXPECT_GT(square, 1e-4) << name;
    EXPECT_LT(square, 1e4) << name;
  }
}

TEST(ZooModels, UnknownNamesListTheKnown) {
  EXPECT_THAT(
      [] {
        make_model("resnet9", {1, 28, 28}, 10, 1);
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("mlp, lenet5, cnn3, resnet8")));
}

TEST(PenultimateNode, LooksThroughDropoutAndSoftmax) {
  GraphBuilder build("test", {6}, 1);
  const int hidden = build.unary(build.linear(0, 5), Op::kReLU);
  const int logits = build.linear(build.dropout(hidden, 0.5F), 3);
  const Graph graph = std::move(build).finish(build.unary(logits, Op::kSoftmax));
  EXPECT_EQ(penultimate_node(graph), hidden);
}

TEST(PenultimateNode, NeedsALinear) {
  GraphBuilder build("test", {6}, 1);
  const int node = build.unary(0, Op::kReLU);
  EXPECT_THROW(penultimate_node(std::move(build).finish(node)), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
