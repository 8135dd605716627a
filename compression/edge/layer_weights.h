#pragma once

#include <cstdint>
#include <vector>

#include "compression/edge/steps.h"

namespace fedstill {

// What Conv2d and Linear share, whatever the loop: weights with the input channels innermost and
// the arithmetic behind the sums.
struct LayerWeights {
  std::int64_t outputs = 0;
  std::int64_t depth = 0;           // values per output: kh · kw · input channels of a group
  std::vector<std::int8_t> values;  // [outputs][kh][kw][input channels of a group]
  std::vector<std::int32_t>
      bias;  // bias − z_x · Σ weights, so that codes can be summed as they are
  std::vector<float> multiplier;  // s_x · s_w / s_y, or s_x · s_w for logits
};

// Throws std::invalid_argument if a sum could leave 32 bits.
LayerWeights layer_weights(const StepContext& context);

// The bounds of the fused activation, relative to the output's zero point.
Requantization requantization(const StepContext& context);

// The input of a convolution with its border of zero points, [H + 2p, W + 2p, C]. Without padding
// the input itself.
class PaddedInput {
 public:
  explicit PaddedInput(const StepContext& context);
  const std::uint8_t* refresh();  // after the input changed
  std::int64_t width() const { return padded_width_; }
  std::int64_t channels() const { return channels_; }

 private:
  const std::uint8_t* input_;
  std::int64_t height_, row_bytes_, channels_, padded_width_, first_;
  std::vector<std::uint8_t> padded_;
};

// Byte offset in the padded input where the window of each output position begins.
std::vector<std::int32_t> window_offsets(const StepContext& context, const PaddedInput& input);

}  // namespace fedstill
