#pragma once

#include <string>

#include "model/graph.h"

namespace fedstill {

// One graph computing both: appends the branch's nodes to the body, with the branch's Input
// replaced by the body's node `at`; the branch's output `branch_output` becomes the output `name`
// of the result. Node and tensor names of the branch get the prefix "<name>/". Throws
// std::invalid_argument if the shapes do not meet or the name is taken.
Graph attach(Graph body, int at, const Graph& branch, const std::string& branch_output,
             const std::string& name);

// Keeps only what the named outputs need.
Graph extract(const Graph& graph, const std::vector<std::string>& outputs);

}  // namespace fedstill
