// The structure of a graph as JSON. What is accepted and gets the tensors it asks for, where they
// are small, is validated and written back alike; everything else is refused by one of two
// exceptions.
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "model/cost.h"
#include "model/decode_error.h"
#include "model/graph_json.h"
#include "model/shapes.h"

namespace {

using fedstill::Graph;
using fedstill::SampleShape;

constexpr std::int64_t kMaxElements = 1 << 16;  // of one tensor, so that an input stays fast

// Zeros of the shapes that the nodes ask for. Throws std::invalid_argument.
void add_tensors(Graph& graph) {
  std::vector<SampleShape> shapes;
  for (const fedstill::Node& node : graph.nodes) {
    std::vector<SampleShape> inputs;
    for (const int input : node.inputs)
      inputs.push_back(shapes.at(static_cast<std::size_t>(input)));
    shapes.push_back(fedstill::node_shape(node, inputs));
    if (inputs.empty()) continue;
    const auto wanted = fedstill::parameter_shapes(node, inputs[0]);
    for (std::size_t i = 0; i < wanted.size() && i < node.parameters.size(); ++i) {
      if (fedstill::element_count(wanted[i].shape) > kMaxElements) return;
      graph.tensors[node.parameters[i]] = fedstill::Tensor(fedstill::DType::kF32, wanted[i].shape);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    Graph graph =
        fedstill::graph_from_json(std::string_view(reinterpret_cast<const char*>(data), size));
    add_tensors(graph);
    fedstill::validate(graph);
    fedstill::total_cost(graph);
    Graph same = fedstill::graph_from_json(fedstill::graph_to_json(graph));
    same.tensors = graph.tensors;
    if (!(same == graph)) std::abort();
  } catch (const fedstill::DecodeError&) {
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
