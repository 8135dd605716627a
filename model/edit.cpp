#include "model/edit.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace fedstill {
namespace {

// Copies the branch's nodes but its Input; positions maps the branch's indices to the result's.
void append_branch(Graph& body, const Graph& branch, std::vector<int>& positions,
                   const std::string& prefix) {
  for (std::size_t i = 1; i < branch.nodes.size(); ++i) {
    Node node = branch.nodes[i];
    node.name = prefix + node.name;
    for (int& input : node.inputs) input = positions[static_cast<std::size_t>(input)];
    for (std::string& parameter : node.parameters) {
      const Tensor& value = branch.tensors.at(parameter);
      parameter.insert(0, prefix);
      body.tensors.insert_or_assign(parameter, value);
    }
    positions.push_back(static_cast<int>(body.nodes.size()));
    body.nodes.push_back(std::move(node));
  }
}

std::vector<bool> needed_nodes(const Graph& graph, const std::vector<std::string>& outputs) {
  std::vector<bool> needed(graph.nodes.size());
  needed[0] = true;
  for (const std::string& name : outputs) {
    needed[static_cast<std::size_t>(graph.output(name))] = true;
  }
  // Inputs come before their readers, so one pass from the end sees every reader first.
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const int input : graph.nodes[i].inputs) needed[static_cast<std::size_t>(input)] = true;
  }
  return needed;
}

}  // namespace

Graph attach(Graph body, int at, const Graph& branch, const std::string& branch_output,
             const std::string& name) {
  const std::vector<SampleShape> shapes = infer_shapes(body);
  validate(branch);
  if (name.empty() || body.outputs.contains(name)) {
    throw std::invalid_argument("[edit] the output name '" + name + "' is empty or taken");
  }
  if (at < 0 || static_cast<std::size_t>(at) >= body.nodes.size()) {
    throw std::invalid_argument("[edit] there is no node " + std::to_string(at));
  }
  const SampleShape& shape = shapes[static_cast<std::size_t>(at)];
  if (shape != branch.input_shape()) {
    throw std::invalid_argument("[edit] the branch reads " + shape_text(branch.input_shape()) +
                                ", node '" + body.nodes[static_cast<std::size_t>(at)].name +
                                "' gives " + shape_text(shape));
  }
  const int output = branch.output(branch_output);
  const std::string prefix = name + "/";
  const auto is_taken = [&](const auto& entry) { return entry.first.starts_with(prefix); };
  if (std::ranges::any_of(body.tensors, is_taken)) {
    throw std::invalid_argument("[edit] tensors named '" + prefix + "…' exist already");
  }
  std::vector<int> positions{at};
  append_branch(body, branch, positions, prefix);
  body.outputs.emplace(name, positions[static_cast<std::size_t>(output)]);
  validate(body);
  return body;
}

Graph extract(const Graph& graph, const std::vector<std::string>& outputs) {
  validate(graph);
  const std::vector<bool> needed = needed_nodes(graph, outputs);
  Graph kept;
  kept.architecture = graph.architecture;
  std::vector<int> positions(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!needed[i]) continue;
    Node node = graph.nodes[i];
    for (int& input : node.inputs) input = positions[static_cast<std::size_t>(input)];
    for (const std::string& parameter : node.parameters) {
      kept.tensors.emplace(parameter, graph.tensors.at(parameter));
    }
    positions[i] = static_cast<int>(kept.nodes.size());
    kept.nodes.push_back(std::move(node));
  }
  for (const std::string& name : outputs) {
    kept.outputs.emplace(name, positions[static_cast<std::size_t>(graph.output(name))]);
  }
  validate(kept);
  return kept;
}

}  // namespace fedstill
