#include "training/executor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "model/random.h"
#include "model/shapes.h"
#include "model/zoo.h"
#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"
#include "toy.h"

namespace fedstill {
namespace {

using tests::random_tensor;
using tests::small_net;

const at::Tensor& parameter(Executor& executor, const std::string& name) {
  return std::ranges::find(executor.parameters(), name, &Executor::Parameter::name)->value;
}

TEST(Executor, RefusesImagesThatDoNotFit) {
  Executor executor(small_net());
  const int logits = executor.graph().output("logits");
  EXPECT_THROW(executor.run(random_tensor({4, 2, 8, 7}, 1), logits, Mode::kEval),
               std::invalid_argument);
  EXPECT_THROW(executor.run(random_tensor({2, 8, 8}, 1), logits, Mode::kEval),
               std::invalid_argument);
  EXPECT_THROW(executor.run(random_tensor({4, 2, 8, 8}, 1).to(at::kDouble), logits, Mode::kEval),
               std::invalid_argument);
  EXPECT_THROW(executor.run(random_tensor({4, 2, 8, 8}, 1), 99, Mode::kEval),
               std::invalid_argument);
}

std::int64_t draw(std::uint64_t trial, std::uint64_t what, std::uint64_t most) {
  return static_cast<std::int64_t>(random_below(trial, what, most)) + 1;
}

Node random_window(std::uint64_t trial) {
  Node node{.name = "window", .inputs = {0}};
  node.op = std::array{Op::kConv2d, Op::kMaxPool, Op::kAveragePool}[trial % 3];
  node.attributes = {.kernel = {draw(trial, 0, 5), draw(trial, 1, 5)},
                     .stride = {draw(trial, 2, 9), draw(trial, 3, 9)},
                     .padding = {draw(trial, 4, 7) - 1, draw(trial, 5, 7) - 1},
                     .dilation = {draw(trial, 6, 3), draw(trial, 7, 3)},
                     .groups = draw(trial, 8, 2),
                     .out_features = 2 * draw(trial, 9, 2)};
  return node;
}

// The node alone behind an input, its weights zeros. Requires: node_shape() accepts the two.
Graph graph_of(Node node, const SampleShape& input) {
  Graph graph;
  Node first{.name = "input"};
  first.attributes.shape = input;
  for (const ParameterShape& parameter : parameter_shapes(node, input)) {
    node.parameters.emplace_back(parameter.name);
    graph.tensors[parameter.name] = Tensor(DType::kF32, parameter.shape);
  }
  graph.nodes = {first, node};
  graph.outputs["logits"] = 1;
  return graph;
}

// What a graph's checks let through, LibTorch must be able to compute: a hostile model may not end
// who evaluates it.
TEST(Executor, ComputesEveryWindowThatIsValid) {
  int computed = 0;
  for (std::uint64_t trial = 0; trial < 10000; ++trial) {
    const Node node = random_window(trial);
    const SampleShape input{2 * draw(trial, 10, 2), draw(trial, 11, 9), draw(trial, 12, 9)};
    SampleShape expected;
    try {
      expected = node_shape(node, {input});
    } catch (const std::invalid_argument&) {
      continue;
    }
    expected.insert(expected.begin(), 2);
    Executor executor(graph_of(node, input));
    const at::Tensor images = random_tensor({2, input[0], input[1], input[2]}, trial);
    EXPECT_EQ(executor.run(images, 1, Mode::kEval).sizes(), at::IntArrayRef(expected));
    ++computed;
  }
  EXPECT_GT(computed, 1000);
}

TEST(Executor, GivesTheShapesOfTheGraphForEveryNode) {
  for (const std::string_view name : zoo_names()) {
    const Graph graph = make_model(name, {.channels = 1, .height = 28, .width = 28}, 10, 1);
    Executor executor(graph);
    std::vector<int> all(graph.nodes.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    const at::NoGradGuard no_grad;
    const auto values = executor.run(random_tensor({2, 1, 28, 28}, 1), all, Mode::kEval);
    const auto shapes = infer_shapes(graph);
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::vector<std::int64_t> expected = shapes[i];
      expected.insert(expected.begin(), 2);
      EXPECT_EQ(values[i].sizes().vec(), expected) << name << " " << graph.nodes[i].name;
    }
  }
}

// Every node of every graph against the plainest loops there are, in double precision.
TEST(Executor, AgreesWithTheNaiveEvaluator) {
  for (const Graph& graph :
       {tests::every_operator_graph(9), make_model("lenet5", {}, 10, 1),
        make_model("resnet8", {.channels = 3, .height = 16, .width = 16}, 10, 1),
        make_model("mobilenetv2-small", {.channels = 3, .height = 16, .width = 16}, 10, 1),
        make_model("ghostnet-small", {.channels = 3, .height = 16, .width = 16}, 10, 1)}) {
    std::vector<int> all(graph.nodes.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    std::vector<std::int64_t> shape = graph.input_shape();
    shape.insert(shape.begin(), 1);
    const at::Tensor image = random_tensor(shape, 1);
    Executor executor(graph);
    const auto found = executor.run(image, all, Mode::kEval);
    const auto expected = tests::naive_values(graph, tests::values(image));
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::vector<float> node = tests::values(found[i]);
      ASSERT_EQ(node.size(), expected[i].size()) << graph.nodes[i].name;
      for (std::size_t j = 0; j < node.size(); ++j) {
        ASSERT_NEAR(node[j], expected[i][j], 1e-3 + 1e-3 * std::abs(expected[i][j]))
            << graph.nodes[i].name;
      }
    }
  }
}

// Reusing memory must never change what somebody else still reads.
TEST(Executor, WantingEveryNodeChangesNoValue) {
  for (const Mode mode : {Mode::kEval, Mode::kTrain}) {
    for (const char* name : {"resnet8", "mobilenetv2-small", "ghostnet-small", "lenet5"}) {
      const Graph graph = make_model(name, {.channels = 3, .height = 16, .width = 16}, 10, 1);
      const at::Tensor images = random_tensor({4, 3, 16, 16}, 1);
      const int logits = graph.output("logits");
      std::vector<int> all(graph.nodes.size());
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
      Executor one(graph), every(graph);
      const at::Tensor alone = one.run(images, logits, mode, 3);
      const auto values = every.run(images, all, mode, 3);
      // Not the same bits: what nobody else looks at may be computed in fewer passes.
      EXPECT_TRUE(at::allclose(alone, values[static_cast<std::size_t>(logits)], 1e-4, 1e-4))
          << name;
      EXPECT_TRUE(at::equal(values[0], images)) << name;
    }
  }
}

TEST(Executor, LayoutsAgree) {
  const Graph graph = make_model("cnn3", {}, 10, 1);
  const at::Tensor images = random_tensor({5, 1, 28, 28}, 1);
  Executor rows(graph, {.channels_last = false}), last(graph, {.channels_last = true});
  const int logits = graph.output("logits");
  for (const Mode mode : {Mode::kEval, Mode::kTrain}) {
    EXPECT_TRUE(
        at::allclose(rows.run(images, logits, mode), last.run(images, logits, mode), 1e-4, 1e-5));
  }
}

TEST(Executor, TrainModeMovesRunningStatisticsAsPyTorchDoes) {
  GraphBuilder build("bn", {2, 3, 3}, 1);
  const int node = build.batch_norm(0);
  const Graph graph = std::move(build).finish(node, "y");
  Executor executor(graph);
  const at::Tensor images = random_tensor({4, 2, 3, 3}, 1);
  executor.run(images, node, Mode::kEval);
  EXPECT_EQ(executor.snapshot(), graph);
  executor.run(images, node, Mode::kTrain);
  const at::Tensor rows = images.transpose(0, 1).reshape({2, -1});
  EXPECT_TRUE(
      at::allclose(parameter(executor, "bn1.running_mean"), rows.mean(1).mul(0.1), 1e-4, 1e-6));
  EXPECT_TRUE(at::allclose(parameter(executor, "bn1.running_var"),
                           rows.var(1, /*unbiased=*/true).mul(0.1).add(0.9), 1e-4, 1e-6));
}

TEST(Executor, DropoutIsDrawnFromTheKeyAndKeepsTheMean) {
  GraphBuilder build("dropout", {4000}, 1);
  const int node = build.dropout(0, 0.25F);
  Executor executor(std::move(build).finish(node, "y"));
  const at::Tensor ones = random_tensor({1, 4000}, 1).fill_(1.0F);
  const at::Tensor a = executor.run(ones, node, Mode::kTrain, 1);
  EXPECT_TRUE(at::equal(a, executor.run(ones, node, Mode::kTrain, 1)));
  EXPECT_FALSE(at::equal(a, executor.run(ones, node, Mode::kTrain, 2)));
  EXPECT_TRUE(at::equal(ones, executor.run(ones, node, Mode::kEval, 1)));
  EXPECT_NEAR(a.mean().item<float>(), 1.0F, 0.05F);
  EXPECT_NEAR(a.max().item<float>(), 1.0F / 0.75F, 1e-6F);
}

TEST(Executor, ParametersNameWhatDecaysAndWhatTrains) {
  Executor executor(small_net());
  std::vector<std::string> decaying, fixed;
  for (const auto& p : executor.parameters()) {
    if (p.decays) decaying.push_back(p.name);
    if (!p.trained) fixed.push_back(p.name);
    EXPECT_EQ(p.value.requires_grad(), p.trained) << p.name;
  }
  EXPECT_THAT(decaying, ::testing::ElementsAre("conv1.weight", "conv2.weight", "fc1.weight"));
  EXPECT_THAT(fixed, ::testing::ElementsAre("bn1.running_mean", "bn1.running_var"));
}

TEST(Executor, SnapshotGivesBackWhatWasPutIn) {
  const Graph graph =
      make_model("ghostnet-small", {.channels = 3, .height = 32, .width = 32}, 10, 4);
  EXPECT_EQ(Executor(graph).snapshot(), graph);
  EXPECT_EQ(Executor(graph, {.trainable = false}).snapshot(), graph);
}

TEST(Executor, Bfloat16StaysCloseAndTrainsFloat32Masters) {
  const Graph graph = make_model("cnn3", {}, 10, 1);
  const at::Tensor images = random_tensor({16, 1, 28, 28}, 1);
  Executor exact(graph), rough(graph, {.bf16 = true});
  const int logits = graph.output("logits");
  const at::Tensor a = exact.run(images, logits, Mode::kTrain),
                   b = rough.run(images, logits, Mode::kTrain);
  EXPECT_EQ(b.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::allclose(a, b, 0.1, 0.1));
  b.square().sum().backward();
  for (const auto& p : rough.parameters()) {
    if (p.trained) {
      EXPECT_EQ(p.value.grad().scalar_type(), at::kFloat) << p.name;
    }
  }
}

}  // namespace
}  // namespace fedstill
