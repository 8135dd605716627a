#pragma once

#include <string>
#include <string_view>

#include "model/graph.h"

namespace fedstill {

// The structure of a graph, without its tensors, as JSON with sorted keys (docs/formats.md). Inputs
// are node names; a node carries the attributes its operator reads and no others.
// Requires: validate(graph) passes.
std::string graph_to_json(const Graph& graph);

// Strict: an unknown operator or key, a missing key, a wrong type, an input that is not an earlier
// node is a DecodeError. The caller adds the tensors and calls validate().
Graph graph_from_json(std::string_view text, const GraphLimits& limits = {});

}  // namespace fedstill
