#include "model/cost.h"

#include <algorithm>
#include <limits>

#include "model/shapes.h"

namespace fedstill {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

void add(std::int64_t& sum, std::int64_t more) {
  if (__builtin_add_overflow(sum, more, &sum)) sum = kMost;
}

std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? kMost : result;
}

std::int64_t float_bytes(const SampleShape& shape) {
  return product(element_count(shape), sizeof(float));
}

bool has_window(const Node& node) {
  return node.op == Op::kConv2d || node.op == Op::kMaxPool || node.op == Op::kAveragePool;
}

// Every output element of a convolution or a matrix is one dot product with a row of the weight.
std::int64_t multiply_adds(const Graph& graph, const Node& node, std::int64_t outputs) {
  if (node.op != Op::kConv2d && node.op != Op::kLinear) return 0;
  const Tensor& weight = graph.tensors.at(node.parameters[0]);
  return product(outputs, weight.size() / weight.shape()[0]);
}

std::int64_t other_operations(const Node& node, const SampleShape& input, std::int64_t outputs) {
  if (node.op == Op::kConv2d || node.op == Op::kLinear) return 0;
  if (node.op == Op::kGlobalAveragePool) return element_count(input);
  const auto [height, width] = node.attributes.kernel;
  return has_window(node) ? product(outputs, product(height, width)) : outputs;
}

Cost node_cost(const Graph& graph, std::size_t index, const std::vector<SampleShape>& shapes) {
  const Node& node = graph.nodes[index];
  if (node.inputs.empty()) return {.activation_bytes = float_bytes(shapes[index])};
  const SampleShape& input = shapes[static_cast<std::size_t>(node.inputs[0])];
  const std::int64_t outputs = element_count(shapes[index]);
  Cost cost{.multiply_adds = multiply_adds(graph, node, outputs),
            .activation_bytes = float_bytes(shapes[index])};
  cost.operations = cost.multiply_adds;
  add(cost.operations, other_operations(node, input, outputs));
  if (has_window(node) && node.attributes.padding != std::array<std::int64_t, 2>{})
    cost.padded_bytes = float_bytes(padded_input(node, input));
  for (const std::string& parameter : node.parameters) {
    const Tensor& tensor = graph.tensors.at(parameter);
    add(cost.parameters, tensor.size());
    add(cost.parameter_bytes, static_cast<std::int64_t>(tensor.bytes().size()));
  }
  return cost;
}

// For every node the one after which its value is needed no more.
std::vector<std::size_t> last_readers(const Graph& graph) {
  std::vector<std::size_t> last(graph.nodes.size());
  for (std::size_t i = 0; i < last.size(); ++i) {
    last[i] = i;
    for (const int input : graph.nodes[i].inputs) last[static_cast<std::size_t>(input)] = i;
  }
  for (const auto& [name, node] : graph.outputs) last[static_cast<std::size_t>(node)] = last.size();
  return last;
}

}  // namespace

std::vector<Cost> node_costs(const Graph& graph) {
  const std::vector<SampleShape> shapes = infer_shapes(graph);
  std::vector<Cost> costs;
  costs.reserve(shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) costs.push_back(node_cost(graph, i, shapes));
  return costs;
}

Cost total_cost(const Graph& graph) {
  Cost total;
  for (const Cost& cost : node_costs(graph)) {
    add(total.parameters, cost.parameters);
    add(total.multiply_adds, cost.multiply_adds);
    add(total.operations, cost.operations);
    add(total.parameter_bytes, cost.parameter_bytes);
    add(total.activation_bytes, cost.activation_bytes);
    add(total.padded_bytes, cost.padded_bytes);
  }
  return total;
}

std::int64_t peak_activation_bytes(const Graph& graph) {
  const std::vector<Cost> costs = node_costs(graph);
  const std::vector<std::size_t> last = last_readers(graph);
  std::vector<std::vector<std::size_t>> ending(costs.size() + 1);
  for (std::size_t i = 0; i < costs.size(); ++i) ending[last[i]].push_back(i);
  std::int64_t alive = 0, most = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    add(alive, costs[i].activation_bytes);
    std::int64_t now = alive;
    add(now, costs[i].padded_bytes);
    most = std::max(most, now);
    if (most == kMost) return most;
    for (const std::size_t ended : ending[i]) alive -= costs[ended].activation_bytes;
  }
  return most;
}

}  // namespace fedstill
