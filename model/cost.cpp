#include "model/cost.h"

namespace fedstill {
namespace {

// Every output element of a convolution or a matrix is one dot product with a row of the weight.
std::int64_t multiply_adds(const Graph& graph, const Node& node, std::int64_t outputs) {
  if (node.op != Op::kConv2d && node.op != Op::kLinear) return 0;
  const Tensor& weight = graph.tensors.at(node.parameters[0]);
  return outputs * (weight.size() / weight.shape()[0]);
}

Cost node_cost(const Graph& graph, const Node& node, const SampleShape& shape) {
  const std::int64_t outputs = element_count(shape);
  Cost cost{.multiply_adds = multiply_adds(graph, node, outputs),
            .activation_bytes = outputs * static_cast<std::int64_t>(sizeof(float))};
  for (const std::string& parameter : node.parameters) {
    const Tensor& tensor = graph.tensors.at(parameter);
    cost.parameters += tensor.size();
    cost.parameter_bytes += static_cast<std::int64_t>(tensor.bytes().size());
  }
  return cost;
}

}  // namespace

std::vector<Cost> node_costs(const Graph& graph) {
  const std::vector<SampleShape> shapes = infer_shapes(graph);
  std::vector<Cost> costs;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    costs.push_back(node_cost(graph, graph.nodes[i], shapes[i]));
  }
  return costs;
}

Cost total_cost(const Graph& graph) {
  Cost total;
  for (const Cost& cost : node_costs(graph)) {
    total.parameters += cost.parameters;
    total.multiply_adds += cost.multiply_adds;
    total.parameter_bytes += cost.parameter_bytes;
    total.activation_bytes += cost.activation_bytes;
  }
  return total;
}

}  // namespace fedstill
