#include "model/edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "model/zoo.h"
#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using tests::naive_output;

// features → one number in (0, 1).
Graph head(std::int64_t features) {
  GraphBuilder build("head", {features}, 7);
  const int hidden = build.unary(build.linear(0, 4), Op::kReLU);
  const int score = build.unary(build.linear(hidden, 1), Op::kSigmoid);
  return std::move(build).finish(build.reshape(score, {}), "score");
}

Graph body() {
  Graph graph = make_model("lenet5", {1, 16, 16}, 10, 3);
  tests::randomise_parameters(graph, 4);
  return graph;
}

TEST(Attach, ComputesBothGraphs) {
  const Graph base = body();
  const int at = penultimate_node(base);
  const Graph both = attach(base, at, head(84), "score", "confidence");
  const auto sample = tests::random_sample(base, 5);
  EXPECT_EQ(naive_output(both, sample), naive_output(base, sample));

  const auto features = tests::naive_values(base, sample)[static_cast<std::size_t>(at)];
  const std::vector<float> as_floats(features.begin(), features.end());
  const auto confidence = naive_output(both, sample, "confidence");
  ASSERT_EQ(confidence.size(), 1U);
  EXPECT_NEAR(confidence[0], naive_output(head(84), as_floats, "score")[0], 1e-6);
  EXPECT_EQ(infer_shapes(both)[static_cast<std::size_t>(both.output("confidence"))], SampleShape{});
}

TEST(Attach, PrefixesTheNamesOfTheBranch) {
  const Graph base = body();
  const Graph both = attach(base, penultimate_node(base), head(84), "score", "confidence");
  EXPECT_NO_THROW(both.find("confidence/fc1"));
  EXPECT_TRUE(both.tensors.contains("confidence/fc1.weight"));
  EXPECT_EQ(both.nodes.size(), base.nodes.size() + head(84).nodes.size() - 1);
}

TEST(Attach, CanBeDoneTwice) {
  const Graph base = body();
  const int at = penultimate_node(base);
  const Graph both = attach(attach(base, at, head(84), "score", "a"), at, head(84), "score", "b");
  const auto sample = tests::random_sample(base, 5);
  EXPECT_EQ(naive_output(both, sample, "a"), naive_output(both, sample, "b"));
}

TEST(Attach, ABranchThatIsItsInputNamesTheNode) {
  GraphBuilder build("identity", {84}, 1);
  const Graph identity = std::move(build).finish(0, "same");
  const Graph base = body();
  const int at = penultimate_node(base);
  EXPECT_EQ(attach(base, at, identity, "same", "features").output("features"), at);
}

TEST(Attach, RefusesWhatDoesNotMeet) {
  const Graph base = body();
  const int at = penultimate_node(base);
  EXPECT_THAT([&] { attach(base, at, head(83), "score", "confidence"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("reads [83]")));
  EXPECT_THROW(attach(base, at, head(84), "score", "logits"), std::invalid_argument);
  EXPECT_THROW(attach(base, at, head(84), "nothing", "confidence"), std::invalid_argument);
  EXPECT_THROW(attach(base, 99, head(84), "score", "confidence"), std::invalid_argument);
  EXPECT_THROW(attach(base, -1, head(84), "score", "confidence"), std::invalid_argument);
  EXPECT_THROW(attach(base, at, head(84), "score", ""), std::invalid_argument);
}

TEST(Extract, UndoesAttach) {
  const Graph base = body();
  const Graph both = attach(base, penultimate_node(base), head(84), "score", "confidence");
  EXPECT_EQ(extract(both, {"logits"}), base);
}

TEST(Extract, KeepsWhatTheOutputNeedsAndNoMore) {
  const Graph graph = tests::every_operator_graph(9);
  const auto sample = tests::random_sample(graph, 1);
  const Graph features = extract(graph, {"features"});
  EXPECT_LT(features.nodes.size(), graph.nodes.size());
  EXPECT_EQ(features.tensors.size() + 2, graph.tensors.size());
  EXPECT_EQ(features.outputs.size(), 1U);
  EXPECT_EQ(naive_output(features, sample, "features"), naive_output(graph, sample, "features"));
  EXPECT_EQ(extract(graph, {"scores", "logits", "features"}), graph);
}

TEST(Extract, RefusesUnknownAndNoOutputs) {
  EXPECT_THROW(extract(body(), {"nothing"}), std::invalid_argument);
  EXPECT_THROW(extract(body(), {}), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
