#include "compression/edge/layer_weights.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

namespace fedstill {
namespace {

std::vector<std::int8_t> channels_innermost(const Tensor& weight) {
  const auto from = weight.values<std::int8_t>();
  std::vector<std::int8_t> to(from.begin(), from.end());
  if (weight.shape().size() != 4) return to;
  const auto channels = static_cast<std::size_t>(weight.shape()[1]);
  const auto taps = static_cast<std::size_t>(weight.shape()[2] * weight.shape()[3]);
  for (std::size_t out = 0; out < to.size(); out += channels * taps) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t tap = 0; tap < taps; ++tap) {
        to[out + tap * channels + c] = from[out + c * taps + tap];
      }
    }
  }
  return to;
}

std::int32_t folded_bias(const StepContext& context, const std::int8_t* weights, std::int64_t depth,
                         std::int64_t bias) {
  std::int64_t sum = 0, magnitude = 0;
  for (std::int64_t i = 0; i < depth; ++i) {
    sum += weights[i];
    magnitude += std::abs(static_cast<int>(weights[i]));
  }
  const std::int64_t folded = bias - sum * context.inputs[0].scale.zero_point;
  if (std::abs(folded) + 255 * magnitude > std::numeric_limits<std::int32_t>::max()) {
    throw_step_error(context.node, "a sum could leave 32 bits");
  }
  return static_cast<std::int32_t>(folded);
}

}  // namespace

LayerWeights layer_weights(const StepContext& context) {
  const Tensor& weight = context.model.graph.tensors.at(context.node.parameters[0]);
  const auto& scales = context.model.weight_scales.at(context.node.parameters[0]);
  std::span<const std::int32_t> bias;
  if (context.node.parameters.size() > 1) {
    bias = context.model.graph.tensors.at(context.node.parameters[1]).values<std::int32_t>();
  }
  LayerWeights layer{.outputs = weight.shape()[0],
                     .depth = weight.size() / weight.shape()[0],
                     .values = channels_innermost(weight),
                     .bias = {},
                     .multiplier = {}};
  for (std::size_t out = 0; out < static_cast<std::size_t>(layer.outputs); ++out) {
    const std::int8_t* row = layer.values.data() + static_cast<std::int64_t>(out) * layer.depth;
    layer.bias.push_back(folded_bias(context, row, layer.depth, bias.empty() ? 0 : bias[out]));
    const float product = context.inputs[0].scale.scale * scales[out];
    layer.multiplier.push_back(context.logits ? product : product / context.output.scale.scale);
  }
  return layer;
}

Requantization requantization(const StepContext& context) {
  const std::int32_t zero = context.output.scale.zero_point;
  return {.bias = nullptr,
          .multiplier = nullptr,
          .lowest = static_cast<float>(context.range.low - zero),
          .highest = static_cast<float>(context.range.high - zero),
          .zero_point = zero};
}

PaddedInput::PaddedInput(const StepContext& context) : input_(context.inputs[0].data) {
  const SampleShape& shape = context.inputs[0].shape;
  const auto [pad_y, pad_x] = context.node.attributes.padding;
  channels_ = shape[0];
  height_ = shape[1];
  row_bytes_ = shape[2] * channels_;
  padded_width_ = shape[2] + 2 * pad_x;
  first_ = (pad_y * padded_width_ + pad_x) * channels_;
  const std::int64_t rows = height_ + 2 * pad_y;
  if (pad_y == 0 && pad_x == 0) return;
  padded_.assign(static_cast<std::size_t>(rows * padded_width_ * channels_ + kSlack),
                 context.inputs[0].scale.zero_point);
}

const std::uint8_t* PaddedInput::refresh() {
  if (padded_.empty()) return input_;
  for (std::int64_t y = 0; y < height_; ++y) {
    std::memcpy(padded_.data() + first_ + y * padded_width_ * channels_, input_ + y * row_bytes_,
                static_cast<std::size_t>(row_bytes_));
  }
  return padded_.data();
}

std::vector<std::int32_t> window_offsets(const StepContext& context, const PaddedInput& input) {
  const SampleShape& shape = context.output.shape;
  const auto [stride_y, stride_x] = context.node.attributes.stride;
  std::vector<std::int32_t> offsets;
  offsets.reserve(static_cast<std::size_t>(shape[1] * shape[2]));
  for (std::int64_t y = 0; y < shape[1]; ++y) {
    for (std::int64_t x = 0; x < shape[2]; ++x) {
      offsets.push_back(static_cast<std::int32_t>((y * stride_y * input.width() + x * stride_x) *
                                                  input.channels()));
    }
  }
  return offsets;
}

}  // namespace fedstill
