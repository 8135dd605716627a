#pragma once

#include <cstdint>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// What one sample costs. Multiply-adds count Conv2d and Linear only, as the literature does.
struct Cost {
  std::int64_t parameters = 0;  // trainable and running statistics
  std::int64_t multiply_adds = 0;
  std::int64_t parameter_bytes = 0;
  std::int64_t activation_bytes = 0;  // float32 output of the node(s)
};

std::vector<Cost> node_costs(const Graph& graph);  // in node order
Cost total_cost(const Graph& graph);

}  // namespace fedstill
