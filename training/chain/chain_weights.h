#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/graph.h"
#include "training/chain/chain_plan.h"

namespace fedstill::chain {

// All weights of a chain in one flat buffer, as the kernels read them. Stage after stage:
//   Conv2d  [out][kernel height][kernel width × channels], then its bias [out]
//   Linear  [out][height × width × channels],              then its bias [out]
// Rows and biases are padded with zeros to whole panels, so every one begins at a cache line.
struct StageWeights {
  std::int64_t weight, bias, end;  // where they begin in the buffer, and what follows
};
std::vector<StageWeights> place_weights(const ChainPlan& plan);

std::vector<float> flatten_weights(const ChainPlan& plan, const Graph& graph);
// The graph with these weights. Throws std::invalid_argument for a buffer of another size.
Graph unflatten_weights(const ChainPlan& plan, const Graph& graph, std::span<const float> weights);

}  // namespace fedstill::chain
