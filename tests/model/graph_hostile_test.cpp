#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "model/graph.h"
#include "tests/support/naive_executor.h"
#include "tests/support/sample_graphs.h"

namespace fedstill {
namespace {

// Damages one field after the other of a graph with every operator. Whatever validate() lets
// through must be safe to walk: the naive executor indexes without checks, so that a sanitizer
// build turns every gap into a failure.
class HostileGraph : public ::testing::Test {
 protected:
  void try_value(std::int64_t& field, std::int64_t value) {
    const std::int64_t old = std::exchange(field, value);
    walk_if_valid();
    field = old;
  }

  void try_values(std::int64_t& field) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{3}, std::int64_t{-1},
          std::int64_t{1} << 20, std::int64_t{1} << 62, -kMost - 1}) {
      try_value(field, value);
    }
  }

  void walk_if_valid() {
    try {
      validate(graph_, {.max_elements = 4096});
    } catch (const std::invalid_argument&) {
      ++refused_;
      return;
    }
    tests::naive_values(graph_, tests::random_sample(graph_, 1));
    ++walked_;
  }

  Graph graph_ = tests::every_operator_graph(2);
  int refused_ = 0;
  int walked_ = 0;
};

TEST_F(HostileGraph, NumbersAreRefusedOrSafe) {
  for (Node& node : graph_.nodes) {
    Attributes& a = node.attributes;
    const bool has_window =
        node.op == Op::kConv2d || node.op == Op::kMaxPool || node.op == Op::kAveragePool;
    for (auto* pair : {&a.kernel, &a.stride, &a.padding, &a.dilation}) {
      if (!has_window) break;
      for (std::int64_t& field : *pair) try_values(field);
    }
    for (std::int64_t* field : {&a.groups, &a.out_features, &a.axis, &a.begin, &a.end, &a.scale}) {
      try_values(*field);
    }
    for (std::int64_t& field : a.shape) try_values(field);
  }
  EXPECT_GT(refused_, 100);
  EXPECT_GT(walked_, 100);
}

TEST_F(HostileGraph, EdgesAreRefusedOrSafe) {
  const int count = static_cast<int>(graph_.nodes.size());
  for (Node& node : graph_.nodes) {
    for (int& input : node.inputs) {
      const int old = input;
      for (input = -2; input < count + 2; ++input) walk_if_valid();
      input = old;
    }
    node.inputs.push_back(0);
    walk_if_valid();
    node.inputs.pop_back();
  }
  EXPECT_GT(refused_, 200);
  EXPECT_GT(walked_, 20);
}

TEST_F(HostileGraph, OperatorsAreRefusedOrSafe) {
  for (Node& node : graph_.nodes) {
    const Op old = node.op;
    for (int op = 0; op <= kOpCount; ++op) {
      node.op = static_cast<Op>(op);
      walk_if_valid();
    }
    node.op = old;
  }
  EXPECT_GT(refused_, 200);
  EXPECT_GT(walked_, 100);
}

TEST_F(HostileGraph, ParametersAreRefusedOrSafe) {
  for (auto& [name, tensor] : graph_.tensors) {
    const Tensor old = tensor;
    for (std::size_t i = 0; i < old.shape().size(); ++i) {
      for (const std::int64_t change : {-1, 1}) {
        std::vector<std::int64_t> shape = old.shape();
        shape[i] += change;
        tensor = Tensor(DType::kF32, shape);
        walk_if_valid();
      }
    }
    tensor = Tensor(DType::kI8, old.shape());
    walk_if_valid();
    tensor = old;
  }
  EXPECT_GT(refused_, 40);
  EXPECT_EQ(walked_, 0);
}

}  // namespace
}  // namespace fedstill
