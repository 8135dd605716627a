#include "model/fold.h"

#include <cmath>
#include <utility>

namespace fedstill {
namespace {

// Rebuilds the graph node by node; a node that vanishes stands for the node that replaces it.
class Folder {
 public:
  explicit Folder(const Graph& graph) : graph_(graph), readers_(graph.nodes.size()) {
    for (const Node& node : graph.nodes) {
      for (const int input : node.inputs) ++readers_[static_cast<std::size_t>(input)];
    }
    // An output is read by the caller.
    for (const auto& entry : graph.outputs) ++readers_[static_cast<std::size_t>(entry.second)];
  }

  Graph run() {
    result_.architecture = graph_.architecture;
    for (const Node& node : graph_.nodes) {
      if (node.op == Op::kDropout) {
        positions_.push_back(position(node.inputs[0]));
      } else if (node.op == Op::kBatchNorm && producer_is_foldable(node)) {
        positions_.push_back(position(node.inputs[0]));
        fold_into(result_.nodes[static_cast<std::size_t>(positions_.back())], node);
      } else {
        append(node);
      }
    }
    for (const auto& [name, node] : graph_.outputs) result_.outputs[name] = position(node);
    return std::move(result_);
  }

 private:
  int position(int node) const { return positions_[static_cast<std::size_t>(node)]; }

  // Follows Dropout nodes, which compute nothing in eval mode, as long as nobody else reads them.
  bool producer_is_foldable(const Node& batch_norm) const {
    int at = batch_norm.inputs[0];
    while (readers_[static_cast<std::size_t>(at)] == 1 && original(at).op == Op::kDropout) {
      at = original(at).inputs[0];
    }
    const Op op = original(at).op;
    return readers_[static_cast<std::size_t>(at)] == 1 &&
           (op == Op::kConv2d || op == Op::kLinear || is_folded(at));
  }

  const Node& original(int node) const { return graph_.nodes[static_cast<std::size_t>(node)]; }

  // A BatchNorm that went into its layer leaves that layer's node in its place.
  bool is_folded(int node) const {
    if (original(node).op != Op::kBatchNorm) return false;
    return result_.nodes[static_cast<std::size_t>(position(node))].op != Op::kBatchNorm;
  }

  void append(const Node& node) {
    Node copy = node;
    for (int& input : copy.inputs) input = position(input);
    for (const std::string& parameter : copy.parameters) {
      result_.tensors.emplace(parameter, graph_.tensors.at(parameter));
    }
    positions_.push_back(static_cast<int>(result_.nodes.size()));
    result_.nodes.push_back(std::move(copy));
  }

  // γ (W x + b − μ) / √(σ² + ε) + β, with the factor taken into W and the rest into b.
  void fold_into(Node& layer, const Node& batch_norm) {
    const auto parameter = [&](std::size_t i) {
      return graph_.tensors.at(batch_norm.parameters[i]).values<float>();
    };
    const auto weight = result_.tensors.at(layer.parameters[0]).values<float>();
    const auto bias = bias_of(layer);
    const std::size_t row = weight.size() / bias.size();
    for (std::size_t c = 0; c < bias.size(); ++c) {
      const double variance = double{parameter(3)[c]} + double{batch_norm.attributes.epsilon};
      const double factor = double{parameter(0)[c]} / std::sqrt(variance);
      for (float& w : weight.subspan(c * row, row)) w = static_cast<float>(w * factor);
      bias[c] = static_cast<float>((double{bias[c]} - double{parameter(2)[c]}) * factor +
                                   double{parameter(1)[c]});
    }
  }

  // The layer's bias, made of zeros if there was none.
  std::span<float> bias_of(Node& layer) {
    if (layer.parameters.size() == 1) {
      std::string name = layer.name + ".bias";
      while (graph_.tensors.contains(name)) name += "_";
      result_.tensors.emplace(name, Tensor(DType::kF32, {layer.attributes.out_features}));
      layer.parameters.push_back(std::move(name));
    }
    return result_.tensors.at(layer.parameters[1]).values<float>();
  }

  const Graph& graph_;
  std::vector<int> readers_;
  std::vector<int> positions_;  // of the original's nodes, in the result
  Graph result_;
};

}  // namespace

Graph fold_batch_norm(const Graph& graph) {
  validate(graph);
  Graph folded = Folder(graph).run();
  validate(folded);
  return folded;
}

}  // namespace fedstill
