#include "model/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Ops, HaveDistinctNamesThatReadBack) {
  std::set<std::string_view> names;
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    EXPECT_EQ(op_from_name(op_name(op)), op);
    names.insert(op_name(op));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kOpCount));
  EXPECT_EQ(op_name(Op::kSoftmax), "Softmax");
  EXPECT_EQ(op_name(Op::kGlobalAveragePool), "GlobalAveragePool");
}

TEST(Ops, UnknownNamesListTheKnown) {
  EXPECT_THAT([] { op_from_name("Convolution"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("Conv2d, Linear")));
  EXPECT_THROW(op_name(static_cast<Op>(kOpCount)), std::invalid_argument);
}

TEST(Graph, FindsNodesAndOutputsByName) {
  const Graph graph = tests::every_operator_graph(1);
  EXPECT_EQ(graph.nodes[static_cast<std::size_t>(graph.find("conv2"))].name, "conv2");
  EXPECT_EQ(graph.output("logits"), graph.outputs.at("logits"));
  EXPECT_EQ(graph.input_shape(), (SampleShape{4, 11, 9}));
  EXPECT_THROW(graph.find("conv99"), std::invalid_argument);
  EXPECT_THAT([&] { graph.output("nothing"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("features, logits, scores")));
}

TEST(Graph, EveryOperatorGraphHasEveryOperator) {
  std::set<Op> seen;
  for (const Node& node : tests::every_operator_graph(1).nodes) seen.insert(node.op);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kOpCount));
}

}  // namespace
}  // namespace fedstill
