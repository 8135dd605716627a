#include <algorithm>
#include <cmath>

#include "model/onnx.h"
#include "model/onnx_operators.h"
#include "model/onnx_proto.h"

namespace fedstill {
namespace {

// The profile that ONNX Runtime executes in integers on x86 and Arm: see docs/formats.md.
class QdqExport {
 public:
  explicit QdqExport(const QuantizedGraph& graph)
      : quantized_(graph),
        graph_(graph.graph),
        shapes_(infer_shapes(graph.graph)),
        values_(graph.graph.nodes.size()) {}

  std::vector<std::byte> encode(const std::map<std::string, std::string>& metadata) {
    const auto logits = static_cast<std::size_t>(graph_.outputs.at("logits"));
    onnx_.input(onnx_.claim("images"), shapes_[0]);
    onnx_.output(onnx_.claim("logits"), shapes_[logits]);
    values_[0] = quantize(0, "images");
    for (std::size_t i = 1; i < graph_.nodes.size(); ++i) {
      if (!values_[i].empty()) continue;  // applied by its producer
      if (i == logits) {
        append_operator(onnx_, graph_.nodes[i], inputs_of(i), "logits");
      } else {
        append(i);
      }
    }
    return onnx_.finish(graph_.architecture.empty() ? "model" : graph_.architecture, metadata);
  }

 private:
  void append(std::size_t index) {
    const Node& node = graph_.nodes[index];
    if (node.op == Op::kGlobalAveragePool) return append_global_average(index);
    const std::string value = onnx_.fresh(node.name);
    append_operator(onnx_, node, inputs_of(index), value);
    const int activation = fused_activation(graph_, static_cast<int>(index));
    if (activation < 0) {
      values_[index] = quantize(index, value);
    } else {
      append_activation(static_cast<std::size_t>(activation), value);
      values_[index] = values_[static_cast<std::size_t>(activation)];
    }
  }

  // A ReLU stays visible where the runtime folds it into its producer: codes from zero point 0 up
  // are those of the non-negative numbers. What else a clamp cuts off is cut off the codes, which
  // keeps the producer in integers and equals clipping before rounding.
  void append_activation(std::size_t index, std::string value) {
    const Node& node = graph_.nodes[index];
    const ActivationScale& scale = quantized_.activations[index];
    if (node.op == Op::kReLU && scale.zero_point == 0) {
      const std::string positive = onnx_.fresh(node.name);
      append_operator(onnx_, node, {value}, positive);
      value = positive;
    }
    const float low = node.op == Op::kClip ? node.attributes.low : 0.0F;
    const std::uint8_t high =
        node.op == Op::kClip ? code_of(node.attributes.high, scale) : std::uint8_t{255};
    values_[index] = quantize(index, value, code_of(low, scale), high);
  }

  // ONNX keeps [N, C, 1, 1]; quantizing on both sides of the Flatten lets the pooling run on codes.
  void append_global_average(std::size_t index) {
    const std::string& name = graph_.nodes[index].name;
    const std::string pooled = onnx_.fresh(name + "/pooled");
    append_operator(onnx_, graph_.nodes[index], inputs_of(index), pooled);
    const std::string flat = onnx_.fresh(name);
    onnx_.node("Flatten", std::vector{quantize(index, pooled)}, flat);
    values_[index] = quantize(index, flat);
  }

  static std::uint8_t code_of(float real, const ActivationScale& scale) {
    const float code = std::nearbyint(real / scale.scale) + static_cast<float>(scale.zero_point);
    return static_cast<std::uint8_t>(std::clamp(code, 0.0F, 255.0F));
  }

  // QuantizeLinear, the clamp if it cuts anything off, DequantizeLinear. Returns the real value.
  std::string quantize(std::size_t index, const std::string& value, std::uint8_t low = 0,
                       std::uint8_t high = 255) {
    const ActivationScale& activation = quantized_.activations[index];
    const std::string scale = onnx_.scalar(value + "/scale", activation.scale);
    const std::string zero = onnx_.scalar(value + "/zero_point", activation.zero_point);
    std::string codes = onnx_.fresh(value + "/codes");
    onnx_.node("QuantizeLinear", std::vector{value, scale, zero}, codes);
    if (low > 0 || high < 255) {
      const std::string clamped = onnx_.fresh(value + "/clamped");
      const std::vector<std::string> inputs{codes, onnx_.scalar(value + "/low", low),
                                            onnx_.scalar(value + "/high", high)};
      onnx_.node("Clip", inputs, clamped);
      codes = clamped;
    }
    std::string real = onnx_.fresh(value + "/real");
    onnx_.node("DequantizeLinear", std::vector{codes, scale, zero}, real);
    return real;
  }

  std::vector<std::string> inputs_of(std::size_t index) {
    const Node& node = graph_.nodes[index];
    std::vector<std::string> inputs;
    for (const int input : node.inputs) inputs.push_back(values_[static_cast<std::size_t>(input)]);
    if (node.parameters.empty()) return inputs;
    std::vector<float> scales = quantized_.weight_scales.at(node.parameters[0]);
    inputs.push_back(parameter(node.parameters[0], scales));
    if (node.parameters.size() > 1) {
      const auto producer = static_cast<std::size_t>(node.inputs[0]);
      for (float& scale : scales) scale *= quantized_.activations[producer].scale;
      inputs.push_back(parameter(node.parameters[1], scales));
    }
    return inputs;
  }

  // Codes and per-channel scales (axis 0), zero points 0.
  std::string parameter(const std::string& name, const std::vector<float>& scales) {
    const Tensor& codes = graph_.tensors.at(name);
    const OnnxType type = onnx_type(codes.dtype());
    const auto channels = static_cast<std::int64_t>(scales.size());
    const std::vector<std::byte> zeros(scales.size() * byte_size(codes.dtype()));
    const std::vector<std::string> inputs{
        onnx_.constant(name, type, codes.shape(), codes.bytes()),
        onnx_.floats(name + "/scale", scales),
        onnx_.constant(name + "/zero_point", type, std::span(&channels, 1), zeros)};
    std::string real = onnx_.fresh(name + "/real");
    const OnnxAttribute axis{"axis", std::int64_t{0}};
    onnx_.node("DequantizeLinear", inputs, real, std::span(&axis, 1));
    return real;
  }

  const QuantizedGraph& quantized_;
  const Graph& graph_;
  std::vector<SampleShape> shapes_;
  OnnxWriter onnx_;
  std::vector<std::string> values_;  // what readers of a node read: its DequantizeLinear
};

}  // namespace

std::vector<std::byte> encode_onnx(const QuantizedGraph& graph,
                                   const std::map<std::string, std::string>& metadata) {
  validate(graph);
  return QdqExport(graph).encode(metadata);
}

}  // namespace fedstill
