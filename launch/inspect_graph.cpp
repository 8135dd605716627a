#include "launch/inspect_graph.h"

#include "launch/outside_text.h"
#include "launch/progress.h"
#include "launch/text_table.h"
#include "model/cost.h"

namespace fedstill {
namespace {

using nlohmann::json;

std::string shape_text(const SampleShape& shape) {
  std::string out;
  for (const auto size : shape) out += (out.empty() ? "" : "×") + std::to_string(size);
  return out.empty() ? "scalar" : out;
}

json cost_json(const Cost& cost) {
  return {{"parameters", cost.parameters},
          {"multiply_adds", cost.multiply_adds},
          {"parameter_bytes", cost.parameter_bytes},
          {"activation_bytes", cost.activation_bytes}};
}

std::vector<std::string> row(const std::string& name, const std::string& op,
                             const std::string& shape, const Cost& cost) {
  return {name,
          op,
          shape,
          grouped(cost.parameters),
          grouped(cost.multiply_adds),
          grouped(cost.parameter_bytes),
          grouped(cost.activation_bytes)};
}

}  // namespace

Inspection inspect_graph(const Graph& graph) {
  const auto shapes = infer_shapes(graph);
  const auto costs = node_costs(graph);
  json nodes = json::array();
  std::vector<std::vector<std::string>> rows{{"node", "operator", "output", "parameters",
                                              "multiply-adds", "parameter bytes",
                                              "activation bytes"}};
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    json entry = cost_json(costs[i]);
    entry["name"] = node.name;
    entry["op"] = op_name(node.op);
    entry["shape"] = shapes[i];
    entry["inputs"] = node.inputs;
    nodes.push_back(std::move(entry));
    rows.push_back(row(node.name, std::string(op_name(node.op)), shape_text(shapes[i]), costs[i]));
  }
  const Cost total = total_cost(graph);
  rows.push_back(row("total", "", "", total));
  std::string outputs;
  for (const auto& [name, node] : graph.outputs) {
    outputs += (outputs.empty() ? "" : ", ") +
               printable(name + " = " + graph.nodes[static_cast<std::size_t>(node)].name);
  }
  return {{{"architecture", graph.architecture},
           {"nodes", nodes},
           {"outputs", graph.outputs},
           {"total", cost_json(total)}},
          text_table(rows) + "architecture " + printable(graph.architecture) +
              "; outputs: " + outputs + "\n"};
}

}  // namespace fedstill
