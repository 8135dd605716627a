#pragma once

#include <cstdint>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// What one sample costs. Numbers too large for 64 bits stay at the largest.
struct Cost {
  std::int64_t parameters = 0;     // trainable and running statistics
  std::int64_t multiply_adds = 0;  // of Conv2d and Linear only, as the literature counts
  std::int64_t operations = 0;  // these, the elements of every window of a pool, and one for each
                                // output of the others
  std::int64_t parameter_bytes = 0;
  std::int64_t activation_bytes = 0;  // float32 output of the node(s)
  std::int64_t padded_bytes = 0;      // float32 input of a padded Conv2d or pool with its padding
};

std::vector<Cost> node_costs(const Graph& graph);  // in node order
Cost total_cost(const Graph& graph);

// Most bytes alive at once while one sample passes: every value from its node to its last reader,
// outputs to the end, and the padded input of the node at work.
std::int64_t peak_activation_bytes(const Graph& graph);

}  // namespace fedstill
