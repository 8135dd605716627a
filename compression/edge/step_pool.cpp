#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>

#include "compression/edge/layer_weights.h"

namespace fedstill {
namespace {

struct Extent {
  std::int64_t begin, end;
};

// The part of a pooling window that lies on the image.
Extent on_image(std::int64_t position, std::int64_t stride, std::int64_t padding,
                std::int64_t kernel, std::int64_t size) {
  const std::int64_t begin = position * stride - padding;
  return {std::max<std::int64_t>(begin, 0), std::min(begin + kernel, size)};
}

// Walks the windows of a pooling operator over a channels-last image.
class Windows {
 public:
  explicit Windows(const StepContext& context)
      : input_(context.inputs[0]), attributes_(context.node.attributes) {
    if (context.node.op == Op::kGlobalAveragePool) {
      attributes_.kernel = {input_.shape[1], input_.shape[2]};
      attributes_.padding = {0, 0};
    } else {
      rows_ = context.output.shape[1];
      columns_ = context.output.shape[2];
    }
  }

  std::int64_t channels() const { return input_.shape[0]; }
  std::int64_t area() const { return attributes_.kernel[0] * attributes_.kernel[1]; }

  // Per output position: begin(number of pixels on the image), pixel(its channels) for each, end().
  template <typename Begin, typename Pixel, typename End>
  void walk(const Begin& begin, const Pixel& pixel, const End& end) const {
    const auto& [kernel, stride, padding] =
        std::tie(attributes_.kernel, attributes_.stride, attributes_.padding);
    for (std::int64_t row = 0; row < rows_; ++row) {
      const Extent y = on_image(row, stride[0], padding[0], kernel[0], input_.shape[1]);
      for (std::int64_t column = 0; column < columns_; ++column) {
        const Extent x = on_image(column, stride[1], padding[1], kernel[1], input_.shape[2]);
        begin((y.end - y.begin) * (x.end - x.begin));
        for (std::int64_t i = y.begin; i < y.end; ++i) {
          for (std::int64_t j = x.begin; j < x.end; ++j) {
            pixel(input_.data + (i * input_.shape[2] + j) * channels());
          }
        }
        end();
      }
    }
  }

 private:
  Codes input_;
  Attributes attributes_;
  std::int64_t rows_ = 1, columns_ = 1;
};

class MaxPoolStep {
 public:
  explicit MaxPoolStep(const StepContext& context)
      : windows_(context), kernels_(&context.kernels), output_(context.output.data) {}

  void operator()() {
    const std::int64_t channels = windows_.channels();
    std::uint8_t* out = output_;
    windows_.walk([&](std::int64_t) { std::memset(out, 0, static_cast<std::size_t>(channels)); },
                  [&](const std::uint8_t* pixel) { kernels_->maximum(pixel, channels, out); },
                  [&] { out += channels; });
  }

 private:
  Windows windows_;
  const Kernels* kernels_;
  std::uint8_t* output_;
};

// Sums the codes, then one requantisation by s_x / (s_y · area). Pixels beyond the border count as
// zeros.
class AveragePoolStep {
 public:
  explicit AveragePoolStep(const StepContext& context)
      : windows_(context),
        kernels_(&context.kernels),
        output_(context.output.data),
        input_zero_(context.inputs[0].scale.zero_point),
        requantization_(requantization(context)) {
    if (windows_.area() > std::numeric_limits<std::int32_t>::max() / 256) {
      throw_step_error(context.node, "a sum could leave 32 bits");
    }
    const auto channels = static_cast<std::size_t>(windows_.channels());
    const auto area = static_cast<float>(windows_.area());
    sums_.resize(channels);
    bias_.resize(channels);
    multiplier_.assign(channels,
                       context.inputs[0].scale.scale / (context.output.scale.scale * area));
  }

  void operator()() {
    const std::int64_t channels = windows_.channels();
    requantization_.bias = bias_.data();
    requantization_.multiplier = multiplier_.data();
    std::uint8_t* out = output_;
    windows_.walk(
        [&](std::int64_t pixels) {
          std::fill(sums_.begin(), sums_.end(), static_cast<std::int32_t>(-pixels * input_zero_));
        },
        [&](const std::uint8_t* pixel) { kernels_->accumulate(pixel, channels, sums_.data()); },
        [&] {
          kernels_->requantize(sums_.data(), channels, requantization_, out);
          out += channels;
        });
  }

 private:
  Windows windows_;
  const Kernels* kernels_;
  std::uint8_t* output_;
  std::int64_t input_zero_;
  Requantization requantization_;
  std::vector<std::int32_t> sums_, bias_;
  std::vector<float> multiplier_;
};

}  // namespace

Step make_pool_step(const StepContext& context) {
  if (context.node.op == Op::kMaxPool) return MaxPoolStep(context);
  return AveragePoolStep(context);
}

}  // namespace fedstill
