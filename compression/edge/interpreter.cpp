#include "compression/edge/interpreter.h"

#include <stdexcept>
#include <string>

#include "compression/edge/steps.h"
#include "model/shapes.h"

namespace fedstill {
namespace {

// Of all activations and of what convolutions keep beside them.
constexpr std::int64_t kMaxActivationBytes = std::int64_t{1} << 28;

// The node whose buffer already holds a node's codes, or −1: what only renames or was clamped by
// its producer.
int same_codes(const Graph& graph, const std::vector<SampleShape>& shapes,
               const std::vector<int>& fused, std::size_t node) {
  const Op op = graph.nodes[node].op;
  if (op == Op::kInput) return -1;
  const int input = graph.nodes[node].inputs[0];
  const auto from = static_cast<std::size_t>(input);
  if (fused[from] == static_cast<int>(node)) return input;
  const bool renames = (op == Op::kFlatten || op == Op::kReshape) && is_plain(shapes[from]) &&
                       is_plain(shapes[node]);
  return renames ? input : -1;
}

// Beside its output a convolution keeps where in its input each window begins, and that input
// again where it is padded.
std::int64_t window_bytes(const Graph& graph, const std::vector<SampleShape>& shapes,
                          std::size_t index) {
  const Node& node = graph.nodes[index];
  if (node.op != Op::kConv2d) return 0;
  const SampleShape& input = shapes[static_cast<std::size_t>(node.inputs[0])];
  const SampleShape padded = padded_input(node, input);
  const std::int64_t positions = shapes[index][1] * shapes[index][2];
  return (padded == input ? 0 : element_count(padded) + kSlack) +
         positions * std::int64_t{sizeof(std::int32_t)};
}

// Fails before anything is allocated.
void check_operators(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kSoftmax || node.op == Op::kBatchNorm || node.op == Op::kDropout) {
      throw_step_error(node, "has no integer form");
    }
  }
}

Step make_step(const StepContext& context) {
  switch (context.node.op) {
    case Op::kConv2d:
      return is_depthwise(context.node, context.inputs[0].shape) ? make_depthwise_step(context)
                                                                 : make_dot_step(context);
    case Op::kLinear:
      return make_dot_step(context);
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kGlobalAveragePool:
      return make_pool_step(context);
    case Op::kAdd:
    case Op::kMul:
      return make_pair_step(context);
    case Op::kReLU:
    case Op::kClip:
    case Op::kLeakyReLU:
    case Op::kHardSwish:
    case Op::kHardSigmoid:
    case Op::kSigmoid:
    case Op::kTanh:
      return make_table_step(context);
    case Op::kConcat:
      return make_concat_step(context);
    case Op::kSlice:
      return make_slice_step(context);
    case Op::kFlatten:
    case Op::kReshape:
      return make_reshape_step(context);
    case Op::kUpsample:
      return make_upsample_step(context);
    case Op::kInput:
    case Op::kBatchNorm:
    case Op::kDropout:
    case Op::kSoftmax:
      break;
  }
  throw_step_error(context.node, "has no integer form");
}

}  // namespace

void throw_step_error(const Node& node, const std::string& what) {
  throw std::invalid_argument("[interpreter] node '" + node.name + "' (" +
                              std::string(op_name(node.op)) + "): " + what);
}

const Kernels& fastest_kernels() {
  static const Kernels& fastest = *available_kernels().back();
  return fastest;
}

struct Interpreter::Plan {
  Plan(const QuantizedGraph& model, const Kernels& with);
  void allocate(const Graph& graph, const std::vector<int>& fused);
  void add_step(const QuantizedGraph& model, std::size_t node, int fused_activation);
  Codes codes_of(const QuantizedGraph& model, std::size_t node);

  const Kernels& kernels;
  std::vector<SampleShape> shapes;
  std::vector<std::size_t> owner;                  // per node: whose buffer holds its codes
  std::vector<std::vector<std::uint8_t>> buffers;  // per owner, with slack
  std::vector<Step> steps;
  ActivationScale input_scale;
  std::size_t logits_node = 0;
  std::vector<float> logits;
  std::vector<std::uint8_t> input_codes;                  // [C, H, W]
  std::vector<std::vector<std::uint8_t>> channels_first;  // what codes() handed out
};

Interpreter::Plan::Plan(const QuantizedGraph& model, const Kernels& with) : kernels(with) {
  const Graph& graph = model.graph;
  check_operators(graph);
  shapes = infer_shapes(graph);
  logits_node = static_cast<std::size_t>(graph.output("logits"));
  std::vector<int> fused;
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    fused.push_back(fused_activation(graph, static_cast<int>(node)));
  }
  allocate(graph, fused);
  for (std::size_t node = 1; node < graph.nodes.size(); ++node) {
    if (owner[node] == node) add_step(model, node, fused[node]);
  }
  input_scale = model.activations[0];
}

void Interpreter::Plan::allocate(const Graph& graph, const std::vector<int>& fused) {
  std::int64_t bytes = 0;
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    const int same = same_codes(graph, shapes, fused, node);
    owner.push_back(same < 0 ? node : owner[static_cast<std::size_t>(same)]);
    if (same >= 0) continue;
    bytes += element_count(shapes[node]) + kSlack + window_bytes(graph, shapes, node);
    if (bytes > kMaxActivationBytes)
      throw_step_error(graph.nodes[node], "activations exceed 256 MiB");
  }
  buffers.resize(graph.nodes.size());
  for (std::size_t node = 0; node < graph.nodes.size(); ++node) {
    if (owner[node] != node) continue;
    buffers[node].resize(static_cast<std::size_t>(element_count(shapes[node]) + kSlack));
  }
  channels_first.resize(graph.nodes.size());
  input_codes.resize(static_cast<std::size_t>(element_count(shapes[0])));
  logits.resize(static_cast<std::size_t>(element_count(shapes[logits_node])));
}

Codes Interpreter::Plan::codes_of(const QuantizedGraph& model, std::size_t node) {
  return {buffers[owner[node]].data(), shapes[node], model.activations[node]};
}

void Interpreter::Plan::add_step(const QuantizedGraph& model, std::size_t index,
                                 int fused_activation) {
  const Node& node = model.graph.nodes[index];
  StepContext context{.model = model,
                      .node = node,
                      .inputs = {},
                      .output = codes_of(model, index),
                      .range = {},
                      .logits = nullptr,
                      .kernels = kernels};
  for (const int input : node.inputs) {
    context.inputs.push_back(codes_of(model, static_cast<std::size_t>(input)));
  }
  if (fused_activation >= 0) {
    context.range = activation_range(model.graph.nodes[static_cast<std::size_t>(fused_activation)],
                                     context.output.scale);
  }
  if (index == logits_node) context.logits = logits.data();
  steps.push_back(make_step(context));
}

Interpreter::Interpreter(const QuantizedGraph& graph, const Kernels& kernels) {
  validate(graph);
  plan_ = std::make_unique<Plan>(graph, kernels);
}

Interpreter::~Interpreter() = default;
Interpreter::Interpreter(Interpreter&&) noexcept = default;

std::span<const float> Interpreter::run(std::span<const float> image) {
  Plan& plan = *plan_;
  if (image.size() != plan.input_codes.size()) {
    throw std::invalid_argument("[interpreter] image has " + std::to_string(image.size()) +
                                " values, expected " + std::to_string(plan.input_codes.size()));
  }
  plan.kernels.quantize(image.data(), static_cast<std::int64_t>(image.size()),
                        plan.input_scale.scale, plan.input_scale.zero_point,
                        plan.input_codes.data());
  return run_codes(plan.input_codes);
}

std::span<const float> Interpreter::run_codes(std::span<const std::uint8_t> image) {
  Plan& plan = *plan_;
  if (image.size() != plan.input_codes.size()) {
    throw std::invalid_argument("[interpreter] image has " + std::to_string(image.size()) +
                                " codes, expected " + std::to_string(plan.input_codes.size()));
  }
  to_channels_last(image.data(), plan.shapes[0], plan.buffers[0].data());
  for (const Step& step : plan.steps) step();
  return plan.logits;
}

std::span<const std::uint8_t> Interpreter::codes(int node) const {
  Plan& plan = *plan_;
  const auto index = static_cast<std::size_t>(node);
  if (node < 0 || index >= plan.shapes.size()) {
    throw std::invalid_argument("[interpreter] there is no node " + std::to_string(node));
  }
  if (index == plan.logits_node) return {};
  std::vector<std::uint8_t>& plain = plan.channels_first[index];
  plain.resize(static_cast<std::size_t>(element_count(plan.shapes[index])));
  to_channels_first(plan.buffers[plan.owner[index]].data(), plan.shapes[index], plain.data());
  return plain;
}

}  // namespace fedstill
