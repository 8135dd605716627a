#pragma once

#include "launch/inspect.h"
#include "model/graph.h"

namespace fedstill {

// One row per node: name, operator, output shape, parameters, multiply-adds, bytes; then totals.
Inspection inspect_graph(const Graph& graph);

}  // namespace fedstill
