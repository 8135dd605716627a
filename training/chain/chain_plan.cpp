#include "training/chain/chain_plan.h"

#include <stdexcept>

#include "model/shapes.h"

namespace fedstill::chain {
namespace {

// Reads the chain node by node.
class Reader {
 public:
  explicit Reader(const Graph& graph) : graph_(graph), shapes_(infer_shapes(graph)) {}

  ChainPlan read() {
    read_input();
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.inputs != std::vector<int>{static_cast<int>(i) - 1}) {
        throw_node_error(node, "does not follow the node before it: no plain chain");
      }
      take(node, shapes_[i - 1], shapes_[i]);
    }
    check_end();
    return std::move(plan_);
  }

 private:
  void read_input() {
    const SampleShape& s = shapes_[0];
    if (s.size() == 3) {
      plan_ = {.height = s[1], .width = s[2], .channels = s[0], .stages = {}};
    } else {
      plan_ = {.height = 1, .width = 1, .channels = element_count(s), .stages = {}};
    }
    image_ = {plan_.height, plan_.width, plan_.channels};
  }

  void take(const Node& node, const SampleShape& in, const SampleShape& out) {
    if (node.op == Op::kConv2d) return take_convolution(node, in, out);
    if (node.op == Op::kLinear) return take_linear(node, out);
    if (node.op == Op::kReLU) return rectify(node);
    if (node.op == Op::kMaxPool) return pool(node, out);
    if (node.op == Op::kFlatten) return;
    throw_node_error(node, "has no gradient written down; use the autograd engine");
  }

  void take_convolution(const Node& node, const SampleShape& in, const SampleShape& out) {
    const Attributes& a = node.attributes;
    if (a.groups != 1 || a.dilation != std::array<std::int64_t, 2>{1, 1}) {
      throw_node_error(node, "has groups or dilation; use the autograd engine");
    }
    ConvStage stage;
    stage.height = in[1];
    stage.width = in[2];
    stage.channels = in[0];
    stage.out_channels = out[0];
    stage.kernel = a.kernel;
    stage.stride = a.stride;
    stage.padding = a.padding;
    stage.out_height = out[1];
    stage.out_width = out[2];
    name_parameters(node, stage);
    image_ = {out[1], out[2], out[0]};
    plan_.stages.emplace_back(std::move(stage));
  }

  void take_linear(const Node& node, const SampleShape& out) {
    LinearStage stage;
    stage.height = image_[0];
    stage.width = image_[1];
    stage.channels = image_[2];
    stage.out = out[0];
    name_parameters(node, stage);
    image_ = {1, 1, out[0]};
    plan_.stages.emplace_back(std::move(stage));
  }

  template <typename AnyStage>
  static void name_parameters(const Node& node, AnyStage& stage) {
    stage.weight = node.parameters[0];
    if (node.parameters.size() > 1) stage.bias = node.parameters[1];
  }

  void rectify(const Node& node) {
    if (plan_.stages.empty()) throw_node_error(node, "comes before any layer");
    std::visit([](auto& stage) { stage.rectify = true; }, plan_.stages.back());
  }

  void pool(const Node& node, const SampleShape& out) {
    auto* const stage =
        plan_.stages.empty() ? nullptr : std::get_if<ConvStage>(&plan_.stages.back());
    const Attributes& a = node.attributes;
    if (stage == nullptr || stage->pool != 1 || a.kernel[0] != a.kernel[1] ||
        a.stride != a.kernel || a.padding != std::array<std::int64_t, 2>{0, 0}) {
      throw_node_error(node, "is not a square MaxPool without overlap right after a Conv2d");
    }
    stage->pool = a.kernel[0];
    stage->out_height = out[1];
    stage->out_width = out[2];
    image_ = {out[1], out[2], out[0]};
  }

  void check_end() const {
    const Node& last = graph_.nodes.back();
    const int logits = graph_.output("logits");
    const auto* const stage =
        plan_.stages.empty() ? nullptr : std::get_if<LinearStage>(&plan_.stages.back());
    if (stage == nullptr || stage->rectify || last.op != Op::kLinear ||
        logits != static_cast<int>(graph_.nodes.size()) - 1) {
      throw_node_error(last, "is not the Linear that is the output \"logits\" and the last node");
    }
  }

  const Graph& graph_;
  std::vector<SampleShape> shapes_;
  ChainPlan plan_{};
  std::array<std::int64_t, 3> image_{};  // what the next Linear sees
};

}  // namespace

ChainPlan plan_chain(const Graph& graph) {
  validate(graph);
  return Reader(graph).read();
}

}  // namespace fedstill::chain
