#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/graph.h"

namespace fedstill {

// What one operator promises, without a graph around it. All functions throw std::invalid_argument
// "[graph] node 'conv1' (Conv2d): …" and are safe on hostile values.

// Checks the attributes the operator reads: ranges, finite numbers, no size above the limits.
void check_attributes(const Node& node, const GraphLimits& limits = {});

// Sample shape of the node's output, given those of its inputs in order; checks the attributes, the
// arity and the fit first. Every size of the result is at least 1.
SampleShape node_shape(const Node& node, const std::vector<SampleShape>& inputs,
                       const GraphLimits& limits = {});

// What the windows of a Conv2d, MaxPool or AveragePool slide over: the input [C, H, W] with its
// padding.
SampleShape padded_input(const Node& node, const SampleShape& input);

// A named parameter of an operator; the name is "weight", "bias", "running_mean" or "running_var".
struct ParameterShape {
  const char* name;
  std::vector<std::int64_t> shape;
};

// The parameters in the order of Node::parameters; a trailing bias of Conv2d and Linear may be
// absent. Requires: node_shape() accepted the node with this first input.
std::vector<ParameterShape> parameter_shapes(const Node& node, const SampleShape& input);

[[noreturn]] void throw_node_error(const Node& node, const std::string& what);

}  // namespace fedstill
