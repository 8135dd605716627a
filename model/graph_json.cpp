#include "model/graph_json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/strict_json.h"

namespace fedstill {
namespace {

using Json = nlohmann::json;
constexpr std::size_t kMaxShapeRank = 8;
constexpr std::size_t kMaxInputs = 4096;
constexpr std::size_t kMaxParameters = 8;
constexpr std::size_t kMaxOutputs = 64;

// Calls visit(key, attribute) for the attributes that the operator reads: the one list of what a
// file holds, shared by writer and reader.
template <typename AttributesT, typename Visit>
void visit_attributes(Op op, AttributesT& a, Visit&& visit) {
  switch (op) {
    case Op::kInput:
    case Op::kReshape:
      return visit("shape", a.shape);
    case Op::kConv2d:
      visit("kernel", a.kernel);
      visit("stride", a.stride);
      visit("padding", a.padding);
      visit("dilation", a.dilation);
      visit("groups", a.groups);
      return visit("out_features", a.out_features);
    case Op::kMaxPool:
    case Op::kAveragePool:
      visit("kernel", a.kernel);
      visit("stride", a.stride);
      return visit("padding", a.padding);
    case Op::kLinear:
      return visit("out_features", a.out_features);
    case Op::kBatchNorm:
      return visit("epsilon", a.epsilon);
    case Op::kClip:
      visit("low", a.low);
      return visit("high", a.high);
    case Op::kLeakyReLU:
      return visit("slope", a.slope);
    case Op::kConcat:
    case Op::kSoftmax:
      return visit("axis", a.axis);
    case Op::kSlice:
      visit("axis", a.axis);
      visit("begin", a.begin);
      return visit("end", a.end);
    case Op::kDropout:
      return visit("rate", a.rate);
    case Op::kUpsample:
      return visit("scale", a.scale);
    case Op::kReLU:
    case Op::kHardSwish:
    case Op::kHardSigmoid:
    case Op::kSigmoid:
    case Op::kTanh:
    case Op::kGlobalAveragePool:
    case Op::kAdd:
    case Op::kMul:
    case Op::kFlatten:
      return;
  }
}

struct Writer {
  Json& json;
  void operator()(const char* key, float value) const { json[key] = json_of_float(value); }
  template <typename T>
  void operator()(const char* key, const T& value) const {
    json[key] = value;
  }
};

struct Reader {
  StrictObject& object;

  void operator()(const char* key, float& value) const { value = object.real(key); }
  void operator()(const char* key, SampleShape& value) const {
    value = object.integers(key, kMaxShapeRank);
  }
  void operator()(const char* key, std::int64_t& value) const {
    value = object.integer(key, std::numeric_limits<std::int64_t>::min(),
                           std::numeric_limits<std::int64_t>::max());
  }
  void operator()(const char* key, std::array<std::int64_t, 2>& value) const {
    const std::vector<std::int64_t> pair = object.integers(key, 2);
    if (pair.size() != 2) object.fail(std::string("'") + key + "' is not [height, width]");
    value = {pair[0], pair[1]};
  }
};

Json json_of_node(const Graph& graph, const Node& node) {
  Json json = {{"name", node.name}, {"op", std::string(op_name(node.op))}};
  Json inputs = Json::array();
  for (const int input : node.inputs) {
    inputs.push_back(graph.nodes[static_cast<std::size_t>(input)].name);
  }
  json["inputs"] = std::move(inputs);
  json["parameters"] = node.parameters;
  visit_attributes(node.op, node.attributes, Writer{json});
  return json;
}

Op op_of(StrictObject& object) {
  try {
    return op_from_name(object.text("op"));
  } catch (const std::invalid_argument& error) {
    object.fail(shown(error.what()));
  }
}

int index_of(const std::map<std::string, int>& indices, const std::string& name,
             const StrictObject& object) {
  const auto found = indices.find(name);
  if (found == indices.end()) object.fail("'" + shown(name) + "' is not an earlier node");
  return found->second;
}

Node node_of(const Json& json, const std::map<std::string, int>& indices) {
  StrictObject object(json, "graph, node " + std::to_string(indices.size()));
  Node node;
  node.name = object.text("name");
  node.op = op_of(object);
  for (const std::string& input : object.texts("inputs", kMaxInputs)) {
    node.inputs.push_back(index_of(indices, input, object));
  }
  node.parameters = object.texts("parameters", kMaxParameters);
  visit_attributes(node.op, node.attributes, Reader{object});
  object.finish();
  return node;
}

std::map<std::string, int> outputs_of(const Json& json, const std::map<std::string, int>& indices) {
  StrictObject object(json, "graph, outputs");
  if (json.size() > kMaxOutputs) object.fail("more than " + std::to_string(kMaxOutputs));
  std::map<std::string, int> outputs;
  for (const auto& [name, value] : json.items()) {
    outputs[name] = index_of(indices, object.text(name), object);
  }
  return outputs;
}

}  // namespace

std::string graph_to_json(const Graph& graph) {
  Json nodes = Json::array();
  for (const Node& node : graph.nodes) nodes.push_back(json_of_node(graph, node));
  Json outputs = Json::object();
  for (const auto& [name, node] : graph.outputs) {
    outputs[name] = graph.nodes[static_cast<std::size_t>(node)].name;
  }
  try {
    return Json{{"architecture", graph.architecture}, {"nodes", nodes}, {"outputs", outputs}}
        .dump();
  } catch (const Json::exception& error) {
    throw std::invalid_argument(std::string("[graph] ") + error.what());
  }
}

Graph graph_from_json(std::string_view text, const GraphLimits& limits) {
  const Json json = parse_strict_json(text, "graph");
  StrictObject object(json, "graph");
  Graph graph;
  graph.architecture = object.text("architecture");
  std::map<std::string, int> indices;
  for (const Json& node : object.array("nodes", limits.max_nodes)) {
    graph.nodes.push_back(node_of(node, indices));
    const int index = static_cast<int>(indices.size());
    if (!indices.emplace(graph.nodes.back().name, index).second) {
      object.fail("two nodes are named '" + shown(graph.nodes.back().name) + "'");
    }
  }
  graph.outputs = outputs_of(object.object("outputs"), indices);
  object.finish();
  return graph;
}

}  // namespace fedstill
