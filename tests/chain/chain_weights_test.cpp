#include "training/chain/chain_weights.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "model/zoo.h"
#include "training/chain/kernels.h"

namespace fedstill::chain {
namespace {

TEST(ChainWeights, ComeBackAsTheyWere) {
  for (const char* name : {"mlp", "lenet5"}) {
    const Graph graph = make_model(name, {3, 20, 17}, 7, 4);
    const ChainPlan plan = plan_chain(graph);
    EXPECT_EQ(unflatten_weights(plan, graph, flatten_weights(plan, graph)), graph);
  }
}

TEST(ChainWeights, BeginAtWholePanels) {
  const ChainPlan plan = plan_chain(make_model("lenet5", {1, 28, 28}, 10, 0));
  for (const StageWeights& place : place_weights(plan)) {
    EXPECT_EQ(place.weight % kPanel, 0);
    EXPECT_EQ(place.bias % kPanel, 0);
    EXPECT_EQ(place.end % kPanel, 0);
  }
}

TEST(ChainWeights, RefuseABufferOfAnotherSize) {
  const Graph graph = make_model("mlp", {1, 16, 16}, 3, 0);
  const ChainPlan plan = plan_chain(graph);
  std::vector<float> flat = flatten_weights(plan, graph);
  flat.pop_back();
  EXPECT_THROW(unflatten_weights(plan, graph, flat), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill::chain
