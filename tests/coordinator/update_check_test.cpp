#include "coordinator/update_check.h"

#include <gmock/gmock.h>

#include <limits>
#include <stdexcept>

#include "model/builder.h"

namespace fedstill::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ImageShape kImage{1, 28, 28};
constexpr std::int64_t kClasses = 10;

// An update of a few kilobytes.
Graph small_update() {
  GraphBuilder build("update", {kImage.channels, kImage.height, kImage.width}, 1);
  int node = build.conv(0, {.out = 1, .kernel = 2});
  node = build.pool(node, Op::kMaxPool, 2, 1);
  node = build.unary(build.unary(node, Op::kUpsample), Op::kGlobalAveragePool);
  const int head = build.unary(build.linear(node, 1), Op::kSigmoid);
  const int confidence = build.reshape(head, {});
  const int logits = build.linear(node, kClasses);
  Graph graph = std::move(build).finish(logits);
  graph.outputs["confidence"] = confidence;
  return graph;
}

Attributes& of(Graph& graph, Op op) {
  for (Node& node : graph.nodes) {
    if (node.op == op) return node.attributes;
  }
  throw std::invalid_argument("no such node");
}

// As much padding as a window of four weights allows.
void pad(Graph& graph, std::int64_t padding) {
  Attributes& conv = of(graph, Op::kConv2d);
  conv.padding = conv.dilation = {padding, padding};
}

std::string problem_of(const Graph& graph) {
  return find_update_problem(encode_model(graph), kImage, kClasses);
}

TEST(UpdateCheck, AcceptsAModelWithAHead) { EXPECT_THAT(problem_of(small_update()), IsEmpty()); }

TEST(UpdateCheck, RefusesPaddingThatWouldTakeGigabytes) {
  Graph graph = small_update();
  pad(graph, 20000);
  of(graph, Op::kConv2d).stride = {1 << 14, 1 << 14};
  EXPECT_THAT(problem_of(graph), HasSubstr("padded inputs"));
}

TEST(UpdateCheck, RefusesWindowsThatWouldTakeHours) {
  Graph graph = small_update();
  pad(graph, 1000);
  of(graph, Op::kMaxPool).kernel = {500, 500};
  EXPECT_THAT(problem_of(graph), HasSubstr("operations per image"));
}

TEST(UpdateCheck, RefusesValuesThatWouldTakeGigabytes) {
  Graph graph = small_update();
  of(graph, Op::kUpsample).scale = 1000;
  EXPECT_THAT(problem_of(graph), HasSubstr("bytes of activations"));
}

TEST(UpdateCheck, RefusesAWeightThatIsNotFinite) {
  Graph graph = small_update();
  graph.tensors.begin()->second.values<float>()[0] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(problem_of(graph), HasSubstr("not finite"));
}

}  // namespace
}  // namespace fedstill::tests
