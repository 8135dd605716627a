#include "compression/edge/layer_weights.h"

namespace fedstill {
namespace {

// One filter per channel: neighbouring channels are neighbouring lanes.
class DepthwiseStep {
 public:
  explicit DepthwiseStep(const StepContext& context)
      : layer_(layer_weights(context)),
        kernels_(&context.kernels),
        output_(context.output.data),
        requantization_(requantization(context)),
        padded_(context),
        positions_(window_offsets(context, padded_)),
        width_((layer_.outputs + kPanel - 1) / kPanel * kPanel),
        sums_(static_cast<std::size_t>(width_)) {
    const Attributes& a = context.node.attributes;
    for (std::int64_t y = 0; y < a.kernel[0]; ++y) {
      for (std::int64_t x = 0; x < a.kernel[1]; ++x) {
        taps_.push_back(static_cast<std::int32_t>(
            (y * a.dilation[0] * padded_.width() + x * a.dilation[1]) * padded_.channels()));
      }
    }
    weights_.assign(taps_.size() * static_cast<std::size_t>(width_), 0);
    for (std::size_t c = 0; c < static_cast<std::size_t>(layer_.outputs); ++c) {
      for (std::size_t tap = 0; tap < taps_.size(); ++tap) {
        weights_[tap * static_cast<std::size_t>(width_) + c] =
            layer_.values[c * taps_.size() + tap];
      }
    }
  }

  void operator()() {
    const std::uint8_t* input = padded_.refresh();
    requantization_.bias = layer_.bias.data();
    requantization_.multiplier = layer_.multiplier.data();
    std::uint8_t* out = output_;
    for (const std::int32_t position : positions_) {
      kernels_->depthwise(input + position, taps_.data(), static_cast<std::int64_t>(taps_.size()),
                          weights_.data(), width_, sums_.data());
      kernels_->requantize(sums_.data(), layer_.outputs, requantization_, out);
      out += layer_.outputs;
    }
  }

 private:
  LayerWeights layer_;
  const Kernels* kernels_;
  std::uint8_t* output_;
  Requantization requantization_;
  PaddedInput padded_;
  std::vector<std::int32_t> positions_, taps_;
  std::int64_t width_;  // channels rounded up to whole panels
  std::vector<std::int32_t> sums_;
  std::vector<std::int8_t> weights_;  // [tap][width]
};

}  // namespace

bool is_depthwise(const Node& node, const SampleShape& input) {
  return node.op == Op::kConv2d && node.attributes.groups == input[0] && input[0] > 1 &&
         node.attributes.out_features == input[0];
}

Step make_depthwise_step(const StepContext& context) { return DepthwiseStep(context); }

}  // namespace fedstill
