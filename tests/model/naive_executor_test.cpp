#include "tests/support/naive_executor.h"

#include <gtest/gtest.h>

#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

using tests::naive_output;

// The oracle itself, against figures worked out by hand.
std::vector<double> run_one(SampleShape shape, Op op, const Attributes& attributes,
                            const std::vector<float>& sample,
                            const std::vector<Tensor>& parameters = {}) {
  Graph graph;
  graph.nodes.push_back({.name = "input", .op = Op::kInput});
  graph.nodes[0].attributes.shape = std::move(shape);
  Node node{.name = "n", .op = op, .inputs = {0}, .parameters = {}, .attributes = attributes};
  if (op == Op::kAdd || op == Op::kMul || op == Op::kConcat) node.inputs = {0, 0};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    node.parameters.push_back(std::to_string(i));
    graph.tensors.emplace(node.parameters.back(), parameters[i]);
  }
  graph.nodes.push_back(node);
  graph.outputs = {{"logits", 1}};
  validate(graph);
  return naive_output(graph, sample);
}

using Values = std::vector<double>;
const std::vector<float> kNine{1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST(NaiveExecutor, Convolves) {
  Attributes a{.kernel = {2, 2}};
  a.out_features = 1;
  const Tensor weight = Tensor::of_floats({1, 1, 2, 2}, std::vector<float>{1, 0, 0, 10});
  const Tensor bias = Tensor::of_floats({1}, std::vector<float>{0.5F});
  EXPECT_EQ(run_one({1, 3, 3}, Op::kConv2d, a, kNine, {weight, bias}),
            (Values{51.5, 62.5, 84.5, 95.5}));
  a.stride = {2, 2};
  a.padding = {1, 1};
  EXPECT_EQ(run_one({1, 3, 3}, Op::kConv2d, a, kNine, {weight}), (Values{10, 30, 70, 95}));
}

TEST(NaiveExecutor, ConvolvesWithDilationAndGroups) {
  Attributes a{.kernel = {1, 2}, .dilation = {1, 2}, .groups = 2};
  a.out_features = 2;
  const Tensor weight = Tensor::of_floats({2, 1, 1, 2}, std::vector<float>{1, 1, 1, -1});
  EXPECT_EQ(run_one({2, 1, 3}, Op::kConv2d, a, {1, 2, 3, 4, 5, 9}, {weight}), (Values{4, -5}));
}

TEST(NaiveExecutor, MultipliesAMatrix) {
  Attributes a;
  a.out_features = 2;
  const Tensor weight = Tensor::of_floats({2, 3}, std::vector<float>{1, 2, 3, 0, 0, 1});
  const Tensor bias = Tensor::of_floats({2}, std::vector<float>{0, 7});
  EXPECT_EQ(run_one({3}, Op::kLinear, a, {1, 1, 2}, {weight, bias}), (Values{9, 9}));
}

TEST(NaiveExecutor, Normalises) {
  const auto one = [](float value) { return Tensor::of_floats({1}, std::vector<float>{value}); };
  const Attributes a{.epsilon = 1.0F};
  EXPECT_EQ(run_one({1, 1, 2}, Op::kBatchNorm, a, {1, 5}, {one(2), one(10), one(1), one(3)}),
            (Values{10, 14}));
}

TEST(NaiveExecutor, Pools) {
  Attributes a{.kernel = {2, 2}, .stride = {2, 2}, .padding = {1, 1}};
  EXPECT_EQ(run_one({1, 3, 3}, Op::kMaxPool, a, kNine), (Values{1, 3, 7, 9}));
  EXPECT_EQ(run_one({1, 3, 3}, Op::kAveragePool, a, kNine), (Values{0.25, 1.25, 2.75, 7}));
  EXPECT_EQ(run_one({2, 1, 2}, Op::kGlobalAveragePool, {}, {1, 3, -4, 5}), (Values{2, 0.5}));
  EXPECT_EQ(run_one({1, 1, 2}, Op::kMaxPool, {}, {-3, -4}), (Values{-3, -4}));
}

TEST(NaiveExecutor, Activates) {
  const std::vector<float> x{-4, -1, 0, 1.5F, 8};
  EXPECT_EQ(run_one({5}, Op::kReLU, {}, x), (Values{0, 0, 0, 1.5, 8}));
  EXPECT_EQ(run_one({5}, Op::kClip, {}, x), (Values{0, 0, 0, 1.5, 6}));
  EXPECT_EQ(run_one({5}, Op::kLeakyReLU, {.slope = 0.5F}, x), (Values{-2, -0.5, 0, 1.5, 8}));
  EXPECT_EQ(run_one({5}, Op::kHardSigmoid, {}, x), (Values{0, -1.0 / 6 + 0.5, 0.5, 0.75, 1}));
  EXPECT_EQ(run_one({5}, Op::kHardSwish, {}, x), (Values{0, -(-1.0 / 6 + 0.5), 0, 1.5 * 0.75, 8}));
  EXPECT_NEAR(run_one({1}, Op::kSigmoid, {}, {1})[0], 0.7310585786, 1e-9);
  EXPECT_NEAR(run_one({1}, Op::kTanh, {}, {1})[0], 0.7615941560, 1e-9);
  EXPECT_EQ(run_one({2}, Op::kDropout, {}, {1, -2}), (Values{1, -2}));
}

TEST(NaiveExecutor, CombinesAndRearranges) {
  EXPECT_EQ(run_one({2}, Op::kAdd, {}, {1, -2}), (Values{2, -4}));
  EXPECT_EQ(run_one({2}, Op::kMul, {}, {3, -2}), (Values{9, 4}));
  EXPECT_EQ(run_one({2, 2}, Op::kConcat, {}, {1, 2, 3, 4}), (Values{1, 2, 3, 4, 1, 2, 3, 4}));
  EXPECT_EQ(run_one({2, 2}, Op::kConcat, {.axis = 1}, {1, 2, 3, 4}),
            (Values{1, 2, 1, 2, 3, 4, 3, 4}));
  EXPECT_EQ(run_one({1, 3, 3}, Op::kSlice, {.axis = 2, .begin = 1, .end = 3}, kNine),
            (Values{2, 3, 5, 6, 8, 9}));
  EXPECT_EQ(run_one({1, 3, 3}, Op::kSlice, {.axis = 1, .begin = 2, .end = 3}, kNine),
            (Values{7, 8, 9}));
  EXPECT_EQ(run_one({2}, Op::kReshape, {.shape = {2, 1}}, {1, 2}), (Values{1, 2}));
  EXPECT_EQ(run_one({2}, Op::kFlatten, {}, {1, 2}), (Values{1, 2}));
  EXPECT_EQ(run_one({1, 1, 2}, Op::kUpsample, {}, {1, 2}), (Values{1, 1, 2, 2, 1, 1, 2, 2}));
}

TEST(NaiveExecutor, SoftmaxRunsAlongItsAxis) {
  const auto ln = [](double x) { return static_cast<float>(std::log(x)); };
  const std::vector<float> x{ln(1), ln(2), ln(3), ln(6)};
  const Values rows = run_one({2, 2}, Op::kSoftmax, {.axis = 1}, x);
  const Values columns = run_one({2, 2}, Op::kSoftmax, {}, x);
  EXPECT_NEAR(rows[0], 1.0 / 3, 1e-7);
  EXPECT_NEAR(rows[3], 2.0 / 3, 1e-7);
  EXPECT_NEAR(columns[0], 0.25, 1e-7);
  EXPECT_NEAR(columns[1], 0.25, 1e-7);
  EXPECT_NEAR(columns[2], 0.75, 1e-7);
}

TEST(NaiveExecutor, RunsEveryOperatorToFiniteScores) {
  const Graph graph = tests::every_operator_graph(4);
  const auto sample = tests::random_sample(graph, 5);
  const auto shapes = infer_shapes(graph);
  const auto values = tests::naive_values(graph, sample);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(static_cast<std::int64_t>(values[i].size()), element_count(shapes[i]));
  }
  double sum = 0.0;
  for (const double score : naive_output(graph, sample, "scores")) sum += score;
  EXPECT_NEAR(sum, 1.0, 1e-12);
}

}  // namespace
}  // namespace fedstill
