#include "compression/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "model/edit.h"
#include "model/fold.h"

namespace fedstill {
namespace {

[[noreturn]] void fail(const Node& node, const std::string& what) {
  throw std::invalid_argument("[quantize] node '" + node.name + "' (" +
                              std::string(op_name(node.op)) + "): " + what);
}

void check_operators(const Graph& folded) {
  for (const Node& node : folded.nodes) {
    if (node.op == Op::kBatchNorm) {
      fail(node, "could not be folded into a convolution or linear layer before it");
    }
    if (node.op == Op::kSoftmax) fail(node, "the integer profile has no kernel for it");
  }
  const Node& last = folded.nodes[static_cast<std::size_t>(folded.output("logits"))];
  if (last.op != Op::kLinear) fail(last, "the logits must come from a Linear layer");
}

float largest_magnitude(std::span<const float> values) {
  float largest = 0.0F;
  for (const float value : values) {
    if (!std::isfinite(value)) throw std::invalid_argument("[quantize] a weight is not finite");
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

void round_row(std::span<const float> row, float scale, std::span<std::int8_t> codes) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    codes[i] =
        static_cast<std::int8_t>(std::clamp(std::nearbyint(row[i] / scale), -127.0F, 127.0F));
  }
}

// One layer's row by row rounding. The bias is measured in steps of input scale × weight scale; a
// large bias before small weights would leave 32 bits, so it may ask for a coarser weight scale.
class LayerQuantizer {
 public:
  LayerQuantizer(QuantizedGraph& graph, std::size_t index)
      : graph_(graph),
        node_(graph.graph.nodes[index]),
        input_(graph.activations[static_cast<std::size_t>(node_.inputs[0])]) {}

  void run() {
    const Tensor weight = graph_.graph.tensors.at(node_.parameters[0]);
    const Tensor bias = node_.parameters.size() > 1 ? graph_.graph.tensors.at(node_.parameters[1])
                                                    : Tensor(DType::kF32, {weight.shape()[0]});
    QuantizedWeight quantized = quantize_rows(weight);
    Tensor steps(DType::kI32, {weight.shape()[0]});
    const auto width = static_cast<std::size_t>(weight.size() / weight.shape()[0]);
    for (std::size_t row = 0; row < quantized.scales.size(); ++row) {
      const float value = bias.values<float>()[row];
      if (!std::isfinite(value)) fail(node_, "the bias is not finite");
      const auto codes = quantized.codes.values<std::int8_t>().subspan(row * width, width);
      fit_scale(quantized.scales[row], value, weight.values<float>().subspan(row * width, width),
                codes);
      steps.values<std::int32_t>()[row] =
          static_cast<std::int32_t>(std::nearbyint(value / product(quantized.scales[row])));
    }
    graph_.weight_scales[node_.parameters[0]] = std::move(quantized.scales);
    graph_.graph.tensors[node_.parameters[0]] = std::move(quantized.codes);
    if (node_.parameters.size() > 1) graph_.graph.tensors[node_.parameters[1]] = std::move(steps);
  }

 private:
  QuantizedWeight quantize_rows(const Tensor& weight) const {
    try {
      return quantize_weight(weight);
    } catch (const std::invalid_argument&) {
      fail(node_, "a weight is not finite");
    }
  }

  double product(float scale) const {
    return static_cast<double>(input_.scale) * static_cast<double>(scale);
  }

  void fit_scale(float& scale, float bias, std::span<const float> weights,
                 std::span<std::int8_t> codes) const {
    constexpr double kMostSteps = 1 << 29;  // leaves room for the sum of products
    constexpr double kFineSteps = 1 << 20;  // of a bias that stands alone
    const bool empty = std::ranges::all_of(codes, [](std::int8_t code) { return code == 0; });
    const double size = std::abs(static_cast<double>(bias));
    if (empty && bias != 0.0F) {
      scale = static_cast<float>(size / (input_.scale * kFineSteps));
    } else if (size / product(scale) > kMostSteps) {
      scale = static_cast<float>(size / (input_.scale * kMostSteps));
      round_row(weights, scale, codes);
    }
    const auto narrow = static_cast<float>(product(scale));
    if (!std::isnormal(scale) || !std::isnormal(narrow)) fail(node_, "a scale leaves float32");
    check_sum(scale, bias, codes);
  }

  void check_sum(float scale, float bias, std::span<const std::int8_t> codes) const {
    double most = std::abs(bias / product(scale)), sum = 0.0;
    for (const std::int8_t code : codes) {
      most += 255.0 * std::abs(static_cast<int>(code));
      sum += code;
    }
    most += std::abs(sum) * input_.zero_point;
    if (most > std::numeric_limits<std::int32_t>::max()) fail(node_, "a sum could leave 32 bits");
  }

  QuantizedGraph& graph_;
  const Node& node_;
  ActivationScale input_;
};

}  // namespace

QuantizedWeight quantize_weight(const Tensor& weight) {
  if (weight.shape().empty() || weight.shape()[0] == 0) {
    throw std::invalid_argument("[quantize] the weight has no output channels");
  }
  QuantizedWeight quantized{Tensor(DType::kI8, weight.shape()), {}};
  const auto width = static_cast<std::size_t>(weight.size() / weight.shape()[0]);
  const auto values = weight.values<float>();
  const auto codes = quantized.codes.values<std::int8_t>();
  for (std::size_t first = 0; first < values.size(); first += width) {
    const auto row = values.subspan(first, width);
    const float largest = largest_magnitude(row);
    const float scale = std::isnormal(largest / 127.0F) ? largest / 127.0F : 1.0F;
    round_row(row, scale, codes.subspan(first, width));
    quantized.scales.push_back(scale);
  }
  return quantized;
}

QuantizedGraph quantize(const Graph& student, std::string_view scheme, const ImageView& calibration,
                        const Normalisation& normalisation, const CalibrationOptions& options) {
  if (scheme != "w8a8") {
    throw std::invalid_argument("[quantize] unknown scheme '" + std::string(scheme) +
                                "', expected w8a8");
  }
  const Graph folded = fold_batch_norm(extract(student, {"logits"}));
  check_operators(folded);
  QuantizedGraph quantized{.scheme = std::string(scheme),
                           .graph = folded,
                           .activations = calibrate(folded, calibration, normalisation, options),
                           .weight_scales = {}};
  for (std::size_t i = 0; i < folded.nodes.size(); ++i) {
    const Op op = folded.nodes[i].op;
    if (op == Op::kConv2d || op == Op::kLinear) LayerQuantizer(quantized, i).run();
  }
  validate(quantized);
  return quantized;
}

}  // namespace fedstill
