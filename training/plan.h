#pragma once

#include <span>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// What a set of wanted nodes needs, and what may be saved on the way. Pure graph logic.
struct ExecutionPlan {
  std::vector<int> wanted;
  std::vector<bool> needed;    // per node: runs at all
  std::vector<bool> reusable;  // per node: its one reader may overwrite its value
  // A ReLU that passes its input through because a neighbour does its work: the BatchNorm before it
  // or the MaxPool after it. Rectifying commutes with taking the maximum, gradient included, and
  // there are fewer values behind the pool.
  std::vector<bool> passes;
  std::vector<bool> rectifies;             // per node: that neighbour
  std::vector<std::vector<int>> released;  // per node: values nobody reads after it
};

// Throws std::invalid_argument if a wanted node is not in the graph. Requires: a validated graph.
ExecutionPlan make_plan(const Graph& graph, std::span<const int> wanted);

}  // namespace fedstill
