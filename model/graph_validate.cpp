#include <set>
#include <stdexcept>

#include "model/graph.h"
#include "model/shapes.h"

namespace fedstill {
namespace {

constexpr std::size_t kMaxNameBytes = 512;

[[noreturn]] void fail(const std::string& what) { throw std::invalid_argument("[graph] " + what); }

void check_name(const Node& node) {
  if (node.name.empty()) fail("a node has no name");
  if (node.name.size() > kMaxNameBytes) fail("a node's name is longer than 512 bytes");
  if (static_cast<int>(node.op) >= kOpCount) fail("node '" + node.name + "': unknown operator");
}

std::vector<SampleShape> input_shapes(const Node& node, const std::vector<SampleShape>& known) {
  std::vector<SampleShape> shapes;
  for (const int input : node.inputs) {
    if (input < 0 || static_cast<std::size_t>(input) >= known.size()) {
      throw_node_error(node, "input " + std::to_string(input) + " is not an earlier node");
    }
    shapes.push_back(known[static_cast<std::size_t>(input)]);
  }
  return shapes;
}

std::string expectation(const Node& node, const SampleShape& input) {
  const std::string size = std::to_string(input[0]);
  return node.op == Op::kLinear ? size + " features" : size + " channels";
}

void check_parameters(const Graph& graph, const Node& node, const std::vector<ParameterShape>& all,
                      const std::vector<SampleShape>& inputs) {
  const bool bias_is_optional = node.op == Op::kConv2d || node.op == Op::kLinear;
  const std::size_t count = node.parameters.size();
  if (count != all.size() && !(bias_is_optional && count + 1 == all.size())) {
    throw_node_error(node, "has " + std::to_string(count) + " parameters, expected " +
                               std::to_string(all.size()));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const auto found = graph.tensors.find(node.parameters[i]);
    if (found == graph.tensors.end()) {
      throw_node_error(node, std::string(all[i].name) + " '" + node.parameters[i] + "' is missing");
    }
    if (found->second.shape() == all[i].shape) continue;
    throw_node_error(node, std::string(all[i].name) + " is " + shape_text(found->second.shape()) +
                               ", input has " + expectation(node, inputs[0]) + " (expected " +
                               shape_text(all[i].shape) + ")");
  }
}

// Two nodes may not share a tensor: a walk that rewrites one node's weights would change the other.
void check_ownership(const Graph& graph) {
  std::set<std::string_view> names;
  for (const Node& node : graph.nodes) {
    for (const std::string& parameter : node.parameters) {
      if (!names.insert(parameter).second) {
        throw_node_error(node, "parameter '" + parameter + "' is used twice");
      }
    }
  }
  for (const auto& entry : graph.tensors) {
    if (!names.contains(entry.first)) fail("tensor '" + entry.first + "' belongs to no node");
  }
}

void check_outputs(const Graph& graph) {
  if (graph.outputs.empty()) fail("there are no outputs");
  for (const auto& [name, node] : graph.outputs) {
    if (name.empty() || name.size() > kMaxNameBytes) fail("an output's name is empty or too long");
    if (node < 0 || static_cast<std::size_t>(node) >= graph.nodes.size()) {
      fail("output '" + name + "' names node " + std::to_string(node) + " of " +
           std::to_string(graph.nodes.size()));
    }
  }
}

}  // namespace

std::vector<SampleShape> infer_shapes(const Graph& graph, const GraphLimits& limits) {
  if (graph.nodes.empty()) fail("there are no nodes");
  if (graph.nodes.size() > limits.max_nodes) {
    fail(std::to_string(graph.nodes.size()) + " nodes exceed the limit of " +
         std::to_string(limits.max_nodes));
  }
  std::set<std::string_view> names;
  std::vector<SampleShape> shapes;
  for (const Node& node : graph.nodes) {
    check_name(node);
    if (!names.insert(node.name).second) throw_node_error(node, "the name is used twice");
    if ((node.op == Op::kInput) != shapes.empty()) {
      throw_node_error(node, "the first node, and no other, must be the Input");
    }
    const std::vector<SampleShape> inputs = input_shapes(node, shapes);
    SampleShape shape = node_shape(node, inputs, limits);
    const auto parameters =
        inputs.empty() ? std::vector<ParameterShape>{} : parameter_shapes(node, inputs[0]);
    check_parameters(graph, node, parameters, inputs);
    shapes.push_back(std::move(shape));
  }
  check_ownership(graph);
  check_outputs(graph);
  return shapes;
}

void validate(const Graph& graph, const GraphLimits& limits) {
  infer_shapes(graph, limits);
  for (const Node& node : graph.nodes) {
    for (const std::string& parameter : node.parameters) {
      const Tensor& tensor = graph.tensors.at(parameter);
      if (tensor.dtype() != DType::kF32) {
        throw_node_error(node, "parameter '" + parameter + "' is " +
                                   std::string(name(tensor.dtype())) + ", expected F32");
      }
      if (tensor.size() > limits.max_elements) {
        throw_node_error(node, "parameter '" + parameter + "' exceeds the limits");
      }
    }
  }
}

}  // namespace fedstill
