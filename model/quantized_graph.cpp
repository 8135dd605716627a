#include "model/quantized_graph.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace fedstill {
namespace {

constexpr std::size_t kMaxSchemeBytes = 32;

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw std::invalid_argument("[quantized graph] node '" + node.name + "' (" +
                              std::string(op_name(node.op)) + "): " + what);
}

bool is_scale(float value) { return std::isfinite(value) && value > 0.0F; }

bool has_weights(Op op) { return op == Op::kConv2d || op == Op::kLinear; }

const Node& node_at(const Graph& graph, int index) {
  return graph.nodes[static_cast<std::size_t>(index)];
}

void check_weights(const QuantizedGraph& graph, const Node& node) {
  const std::string& weight = node.parameters[0];
  if (graph.graph.tensors.at(weight).dtype() != DType::kI8) fail(node, "the weight is not I8");
  if (node.parameters.size() > 1 &&
      graph.graph.tensors.at(node.parameters[1]).dtype() != DType::kI32) {
    fail(node, "the bias is not I32");
  }
  const auto scales = graph.weight_scales.find(weight);
  if (scales == graph.weight_scales.end()) fail(node, "the weight has no scales");
  if (static_cast<std::int64_t>(scales->second.size()) != node.attributes.out_features) {
    fail(node, std::to_string(scales->second.size()) + " weight scales, expected " +
                   std::to_string(node.attributes.out_features));
  }
  if (!std::ranges::all_of(scales->second, is_scale)) {
    fail(node, "a weight scale is not finite and positive");
  }
}

void check_node(const QuantizedGraph& graph, std::size_t index) {
  const Node& node = graph.graph.nodes[index];
  const ActivationScale& activation = graph.activations[index];
  if (!is_scale(activation.scale)) fail(node, "the activation scale is not finite and positive");
  if (node.op == Op::kBatchNorm || node.op == Op::kDropout) {
    fail(node, "a quantized graph has no such operator");
  }
  if (has_weights(node.op)) check_weights(graph, node);
  if (!keeps_scale(node.op)) return;
  const auto input = static_cast<std::size_t>(node.inputs[0]);
  if (graph.activations[input] != activation) {
    fail(node, "its scale differs from that of '" + graph.graph.nodes[input].name + "'");
  }
}

void check_logits(const Graph& graph) {
  if (graph.outputs.size() != 1 || !graph.outputs.contains("logits")) {
    throw std::invalid_argument("[quantized graph] the only output must be 'logits'");
  }
  const int logits = graph.outputs.at("logits");
  if (node_at(graph, logits).op != Op::kLinear) {
    fail(node_at(graph, logits), "the logits must come from a Linear node");
  }
  for (const Node& node : graph.nodes) {
    if (std::ranges::count(node.inputs, logits) > 0) fail(node, "reads the float logits");
  }
}

}  // namespace

bool keeps_scale(Op op) {
  return op == Op::kMaxPool || op == Op::kFlatten || op == Op::kReshape || op == Op::kSlice ||
         op == Op::kUpsample || op == Op::kReLU || op == Op::kClip;
}

void validate(const QuantizedGraph& graph, const GraphLimits& limits) {
  infer_shapes(graph.graph, limits);
  if (graph.scheme.empty() || graph.scheme.size() > kMaxSchemeBytes) {
    throw std::invalid_argument("[quantized graph] the scheme has no name or a long one");
  }
  const std::size_t count = graph.graph.nodes.size();
  if (graph.activations.size() != count) {
    throw std::invalid_argument("[quantized graph] " + std::to_string(graph.activations.size()) +
                                " activation scales for " + std::to_string(count) + " nodes");
  }
  for (std::size_t i = 0; i < count; ++i) check_node(graph, i);
  const auto weighted = std::ranges::count_if(
      graph.graph.nodes, [](const Node& node) { return has_weights(node.op); });
  if (graph.weight_scales.size() != static_cast<std::size_t>(weighted)) {
    throw std::invalid_argument("[quantized graph] scales of " +
                                std::to_string(graph.weight_scales.size()) + " weights, expected " +
                                std::to_string(weighted));
  }
  check_logits(graph.graph);
}

int fused_activation(const Graph& graph, int node) {
  const Op op = node_at(graph, node).op;
  if (op != Op::kConv2d && op != Op::kLinear && op != Op::kAdd) return -1;
  for (const auto& [name, output] : graph.outputs) {
    if (output == node) return -1;
  }
  int reader = -1;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto reads = std::ranges::count(graph.nodes[i].inputs, node);
    if (reads == 0) continue;
    if (reads > 1 || reader != -1) return -1;
    reader = static_cast<int>(i);
  }
  if (reader == -1) return -1;
  const Op reader_op = node_at(graph, reader).op;
  return reader_op == Op::kReLU || reader_op == Op::kClip ? reader : -1;
}

}  // namespace fedstill
