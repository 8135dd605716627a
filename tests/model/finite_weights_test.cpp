#include "model/finite_weights.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace fedstill {
namespace {

Graph with(float second) {
  const std::array<float, 2> good{1.0F, -2.0F}, other{0.0F, second};
  Graph graph;
  graph.tensors.emplace("a", Tensor::of_floats({2}, good));
  graph.tensors.emplace("b", Tensor::of_floats({2}, other));
  return graph;
}

TEST(FiniteWeights, NamesTheFirstTensorThatIsNot) {
  using Limits = std::numeric_limits<float>;
  EXPECT_EQ(find_not_finite(Graph()), "");
  EXPECT_EQ(find_not_finite(with(Limits::max())), "");
  for (const float bad : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
    const Graph graph = with(bad);
    EXPECT_EQ(find_not_finite(graph), "b") << bad;
  }
}

}  // namespace
}  // namespace fedstill
