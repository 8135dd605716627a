#include "training/executor.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <cpuid.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "model/random.h"
#include "training/device.h"
#include "training/operators.h"

namespace fedstill {

namespace {

at::Tensor to_parameter(const Tensor& tensor, const ExecutorOptions& options) {
  const auto format = options.channels_last && tensor.shape().size() == 4
                          ? at::MemoryFormat::ChannelsLast
                          : at::MemoryFormat::Contiguous;
  at::Tensor value = at::empty(tensor.shape(), at::TensorOptions(at::kFloat), format);
  const at::Tensor rows = at::empty(tensor.shape(), at::kFloat);
  std::memcpy(rows.data_ptr<float>(), tensor.bytes().data(), tensor.bytes().size());
  return to_device(value.copy_(rows), options.device);
}

bool is_statistic(const Node& node, std::size_t position) {
  return node.op == Op::kBatchNorm && position >= 2;
}

bool decays(const Node& node, std::size_t position) {
  return position == 0 && (node.op == Op::kConv2d || node.op == Op::kLinear);
}

}  // namespace

Executor::Executor(const Graph& graph, const ExecutorOptions& options)
    : graph_(graph),
      options_(options),
      shapes_(infer_shapes(graph)),
      node_parameters_(graph.nodes.size()) {
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    for (std::size_t p = 0; p < graph_.nodes[i].parameters.size(); ++p) {
      node_parameters_[i].push_back(bind(graph_.nodes[i], p));
    }
  }
}

int Executor::bind(const Node& node, std::size_t position) {
  const std::string& name = node.parameters[position];
  const auto known = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& other) { return other.name == name; });
  if (known != parameters_.end()) return static_cast<int>(known - parameters_.begin());
  Parameter parameter{name, to_parameter(graph_.tensors.at(name), options_), decays(node, position),
                      options_.trainable && !is_statistic(node, position)};
  parameter.value.set_requires_grad(parameter.trained);
  parameters_.push_back(std::move(parameter));
  return static_cast<int>(parameters_.size()) - 1;
}

Graph Executor::snapshot() const {
  const at::NoGradGuard no_grad;
  Graph graph = graph_;
  for (const Parameter& parameter : parameters_) {
    const at::Tensor rows =
        parameter.value.detach().to(at::kCPU).contiguous(at::MemoryFormat::Contiguous);
    const std::span<float> out = graph.tensors.at(parameter.name).values<float>();
    std::memcpy(out.data(), rows.const_data_ptr<float>(), out.size_bytes());
  }
  return graph;
}

// Checks the images and brings them into the layout and type the layers run in.
at::Tensor Executor::prepare(const at::Tensor& images) const {
  std::vector<std::int64_t> expected{images.dim() > 0 ? images.size(0) : 0};
  expected.insert(expected.end(), shapes_[0].begin(), shapes_[0].end());
  if (images.scalar_type() != at::kFloat || images.sizes() != at::IntArrayRef(expected)) {
    throw std::invalid_argument("[executor] images are " + shape_text(images.sizes()) +
                                " of type " + c10::toString(images.scalar_type()) +
                                ", expected float32 " + shape_text(expected));
  }
  at::Tensor prepared = to_device(images, options_.device);
  if (options_.bf16) prepared = prepared.to(at::kBFloat16);
  if (!options_.channels_last || images.dim() != 4) return prepared;
  prepared = prepared.contiguous(at::MemoryFormat::ChannelsLast);
  // With one channel both layouts are the same memory; only the strides tell ATen which is meant.
  const std::int64_t c = images.size(1), h = images.size(2), w = images.size(3);
  return prepared.as_strided(prepared.sizes(), {h * w * c, 1, w * c, c});
}

bool Executor::draws() const {
  return std::ranges::any_of(graph_.nodes, [](const Node& node) {
    return node.op == Op::kDropout && node.attributes.rate > 0.0F;
  });
}

at::Generator Executor::generator(std::uint64_t key) {
  if (options_.device.is_cpu()) return at::detail::createCPUGenerator(key);
  if (!draws()) return {};
  if (!device_generator_.defined()) {
    device_generator_ = at::globalContext()
                            .getAcceleratorHooksInterface(options_.device.type())
                            .getNewGenerator(options_.device.index());
  }
  const std::lock_guard lock(device_generator_.mutex());
  device_generator_.set_current_seed(key);
  return device_generator_;
}

at::Tensor Executor::evaluate(int index, std::vector<at::Tensor>& values, Mode mode,
                              at::Generator& generator) {
  const auto i = static_cast<std::size_t>(index);
  const Node& node = graph_.nodes[i];
  if (plan_.passes[i]) return values[static_cast<std::size_t>(node.inputs[0])];
  std::vector<at::Tensor> inputs, parameters;
  for (const int input : node.inputs) inputs.push_back(values[static_cast<std::size_t>(input)]);
  for (const int parameter : node_parameters_[i]) {
    parameters.push_back(parameters_[static_cast<std::size_t>(parameter)].value);
  }
  return apply_operator({.node = node,
                         .shape = shapes_[i],
                         .inputs = inputs,
                         .parameters = parameters,
                         .training = mode == Mode::kTrain,
                         .overwrite = plan_.reusable[static_cast<std::size_t>(node.inputs[0])],
                         .rectify = plan_.rectifies[i],
                         .generator = generator,
                         .group = group_,
                         .wire = wire_});
}

std::vector<at::Tensor> Executor::run(const at::Tensor& images, std::span<const int> wanted,
                                      Mode mode, std::uint64_t dropout_key) {
  if (plan_.needed.empty() || !std::ranges::equal(plan_.wanted, wanted)) {
    plan_ = make_plan(graph_, wanted);
  }
  at::Generator generator = this->generator(dropout_key);
  std::vector<at::Tensor> values(graph_.nodes.size());
  values[0] = prepare(images);
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (!plan_.needed[i]) continue;
    values[i] = evaluate(static_cast<int>(i), values, mode, generator);
    for (const int spent : plan_.released[i]) values[static_cast<std::size_t>(spent)].reset();
  }
  std::vector<at::Tensor> results;
  for (const int node : wanted) {
    results.push_back(values[static_cast<std::size_t>(node)].to(at::kFloat));
  }
  return results;
}

at::Tensor Executor::run(const at::Tensor& images, int wanted, Mode mode,
                         std::uint64_t dropout_key) {
  return run(images, std::span(&wanted, 1), mode, dropout_key)[0];
}

bool bf16_pays() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kAmxBf16 = 1U << 22U, kAmxTile = 1U << 24U;
  return (edx & kAmxBf16) != 0 && (edx & kAmxTile) != 0;
}

}  // namespace fedstill
