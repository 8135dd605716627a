#include "averaging/workloads.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace fedstill {
namespace {

std::int64_t parameters(const Graph& graph) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : graph.tensors) count += tensor.size();
  return count;
}

TEST(Workloads, HaveTheModelsThatSimulatorsAreComparedBy) {
  EXPECT_EQ(parameters(workload_model("W1", {1, 28, 28}, 10, 0)), 784 * 10 + 10);
  EXPECT_EQ(parameters(workload_model("W2", {1, 28, 28}, 10, 0)),
            (9 * 32 + 32) + (32 * 9 * 64 + 64) + (12 * 12 * 64 * 128 + 128) + (128 * 10 + 10));
  EXPECT_THROW(named_workload("W3"), std::invalid_argument);
  EXPECT_THROW(workload_model("W3", {1, 28, 28}, 10, 0), std::invalid_argument);
}

TEST(Workloads, HaveTheSizesThatSimulatorsAreComparedBy) {
  const Workload w1 = named_workload("W1"), w2 = named_workload("W2");
  EXPECT_EQ(w1.clients * w1.images, 60'000);
  EXPECT_EQ(w1.per_round * w1.rounds, 1'000);
  EXPECT_EQ(w2.clients * w2.images, 50'000);
  EXPECT_EQ(w2.per_round * w2.rounds, 1'000);
}

}  // namespace
}  // namespace fedstill
