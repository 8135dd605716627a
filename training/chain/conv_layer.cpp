#include "training/chain/conv_layer.h"

#include <algorithm>

namespace fedstill::chain {
namespace {

constexpr std::int64_t kBandFloats =
    5 * 1024;  // of the image: half a first-level cache with its gradient

}  // namespace

ConvLayer::ConvLayer(const ConvStage& stage, const Kernels& kernels, std::int64_t batch, bool bf16)
    : stage_(stage),
      kernels_(kernels),
      bf16_(bf16),
      border_width_(stage.width + 2 * stage.padding[1]),
      border_size_((stage.height + 2 * stage.padding[0]) * border_width_ * stage.channels + kPanel),
      row_(border_width_ * stage.channels),
      panels_(padded(stage.out_channels) / kPanel),
      kernel_panels_(padded(stage.kernel_row()) / kPanel) {
  const std::int64_t out_row_floats = stage.pool * stage.stride[0] * row_;
  band_ = std::clamp<std::int64_t>(kBandFloats / out_row_floats, 1, stage.out_height);
  packed_.resize(size_of(panels_ * depth() * kPanel));
  packed_bias_.resize(size_of(panels_ * kPanel));
  lines_.resize(size_of(stage.pool * stage.out_width * stage.pool * 2 * kPanel));
  if (has_border()) {
    bordered_.resize(size_of(batch * border_size_));
    bordered_gradient_.resize(size_of(border_size_));
  }
  if (bf16) {
    pairs_.resize(size_of(panels_ * stage.kernel[0] * pair_row() * 2 * kPanel));
    rounded_.resize(size_of(image_size() + kPanel));
  }
  winners_.resize(size_of(batch * out_stride() + kPanel));
  offsets_.resize(size_of(stage.out_channels * band_ * stage.out_width));
  values_.resize(offsets_.size());
  counts_.resize(size_of(stage.out_channels));
  gradient_.resize(size_of(stage.out_channels * stage.kernel[0] * kernel_panels_ * kPanel));
  bias_gradient_.resize(size_of(panels_ * kPanel));
}

const float* ConvLayer::with_border(std::int64_t r, const float* x) {
  if (!has_border()) return x;
  const std::int64_t line = stage_.width * stage_.channels;
  float* const image = bordered_.data() + r * border_size_;
  for (std::int64_t y = 0; y < stage_.height; ++y) {
    std::copy_n(x + y * line, line,
                image + (y + stage_.padding[0]) * row_ + stage_.padding[1] * stage_.channels);
  }
  return image;
}

void ConvLayer::without_border(float* dx) const {
  const std::int64_t line = stage_.width * stage_.channels;
  for (std::int64_t y = 0; y < stage_.height; ++y) {
    std::copy_n(bordered_gradient_.data() + (y + stage_.padding[0]) * row_ +
                    stage_.padding[1] * stage_.channels,
                line, dx + y * line);
  }
}

// Forward wants output channels side by side, backward input channels.
void ConvLayer::pack(const float* weights, const float* bias) {
  for (std::int64_t o = 0; o < stage_.out_channels; ++o) {
    float* to = packed_.data() + (o / kPanel) * depth() * kPanel + o % kPanel;
    for (std::int64_t ky = 0; ky < stage_.kernel[0]; ++ky) {
      const float* const from = weights + (o * stage_.kernel[0] + ky) * kernel_panels_ * kPanel;
      for (std::int64_t k = 0; k < stage_.kernel_row(); ++k, to += kPanel) *to = from[k];
    }
  }
  std::copy_n(bias, panels_ * kPanel, packed_bias_.begin());
  if (bf16_) pack_pairs();
}

void ConvLayer::pack_pairs() {
  const std::int64_t row = stage_.kernel_row();
  Bf16* to = pairs_.data();
  for (std::int64_t from = 0; from < panels_ * depth(); from += row) {
    for (std::int64_t k = 0; k < row; k += 2, to += 2 * kPanel) {
      const float* const first = packed_.data() + (from + k) * kPanel;
      kernels_.bf16.pair(first, k + 1 < row ? first + kPanel : nullptr, kPanel, to);
    }
  }
}

void ConvLayer::forward(std::int64_t rows, const float* x, const float* weights, const float* bias,
                        float* y) {
  pack(weights, bias);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const image = with_border(r, x + r * in_stride());
    if (bf16_) kernels_.bf16.round(image, image_size(), rounded_.data());
    forward_image(image, r, y + r * out_stride());
  }
}

template <typename Value>
ConvRow<Value> ConvLayer::row_at(const Value* image, std::int64_t place) const {
  return {.x = image + place,
          .row = row_,
          .step = stage_.stride[1] * stage_.channels,
          .kernel_rows = stage_.kernel[0],
          .kernel_row = stage_.kernel_row(),
          .positions = stage_.out_width * stage_.pool};
}

void ConvLayer::convolve(const float* image, std::int64_t place, std::int64_t panel,
                         std::int64_t count, float* out) {
  const float* const bias = packed_bias_.data() + panel * kPanel;
  if (bf16_) {
    const std::int64_t pairs = stage_.kernel[0] * pair_row() * 2 * kPanel;
    kernels_.bf16.convolve(row_at(rounded_.data(), place), pairs_.data() + panel * pairs, bias,
                           count, out);
    return;
  }
  kernels_.convolve(row_at(image, place), packed_.data() + panel * depth() * kPanel, bias, count,
                    out);
}

void ConvLayer::forward_image(const float* image, std::int64_t r, float* y) {
  const std::int64_t down = stage_.stride[0] * row_, step = stage_.stride[1] * stage_.channels;
  const std::int64_t positions = stage_.out_width * stage_.pool;
  std::int32_t* const winners = winners_.data() + r * out_stride();
  for (std::int64_t panel = 0; panel < panels_; panel += 2) {
    const std::int64_t count = std::min<std::int64_t>(2, panels_ - panel), lanes = count * kPanel;
    const std::int64_t first = panel * kPanel;
    for (std::int64_t line = 0; line < stage_.out_height; ++line) {
      const std::int64_t top = line * stage_.pool * down;
      for (std::int64_t i = 0; i < stage_.pool; ++i) {
        convolve(image, top + i * down, panel, count, lines_.data() + i * positions * lanes);
      }
      const std::int64_t place = line * stage_.out_width * stage_.out_channels + first;
      kernels_.pool({.values = lines_.data(),
                     .size = stage_.pool,
                     .positions = positions,
                     .lanes = lanes,
                     .pooled = stage_.out_width,
                     .offset = static_cast<std::int32_t>(top),
                     .row = static_cast<std::int32_t>(down),
                     .step = static_cast<std::int32_t>(step),
                     .rectify = stage_.rectify},
                    std::min(lanes, stage_.out_channels - first), stage_.out_channels, y + place,
                    winners + place);
    }
  }
}

void ConvLayer::backward(std::int64_t rows, const float* x, const float* y, const float* d,
                         float* dx, float* weights, float* bias, float rate) {
  std::ranges::fill(gradient_, 0.0F);
  std::ranges::fill(packed_, 0.0F);
  std::ranges::fill(bias_gradient_, 0.0F);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const image =
        has_border() ? bordered_.data() + r * border_size_ : x + r * in_stride();
    float* const own = dx == nullptr ? nullptr : dx + r * in_stride();
    float* const whole = own != nullptr && has_border() ? bordered_gradient_.data() : own;
    if (whole != nullptr) std::fill_n(whole, has_border() ? border_size_ : in_stride(), 0.0F);
    const std::int64_t out = r * out_stride();
    if (is_dense()) gather_image(image, y + out, d + out);
    if (!is_dense() || whole != nullptr) {
      backward_image(image, r, y + out, d + out, weights, whole);
    }
    if (own != whole) without_border(own);
  }
  update(weights, bias, rate);
}

// Without a MaxPool half of all outputs or more have a gradient: every one is taken.
void ConvLayer::gather_image(const float* image, const float* y, const float* d) {
  const std::int64_t line = stage_.out_width * stage_.out_channels;
  for (std::int64_t panel = 0; panel < panels_; panel += 2) {
    const std::int64_t first = panel * kPanel, count = std::min<std::int64_t>(2, panels_ - panel);
    for (std::int64_t out = 0; out < stage_.out_height; ++out) {
      const std::int64_t at = out * line + first;
      kernels_.gather_dense(row_at(image, out * stage_.stride[0] * row_), d + at,
                            stage_.rectify ? y + at : nullptr, stage_.out_channels, count,
                            packed_.data() + panel * depth() * kPanel,
                            bias_gradient_.data() + first);
    }
  }
}

// In bands of rows, so that all output channels find their part of the image in the nearest cache.
void ConvLayer::backward_image(const float* image, std::int64_t r, const float* y, const float* d,
                               const float* weights, float* image_gradient) {
  const std::int64_t kernel = stage_.kernel[0] * kernel_panels_ * kPanel;
  const std::int64_t most = band_ * stage_.out_width;
  for (std::int64_t begin = 0; begin < stage_.out_height; begin += band_) {
    const std::int64_t end = std::min(begin + band_, stage_.out_height);
    collect(begin * stage_.out_width, end * stage_.out_width, r, y, d);
    for (std::int64_t o = 0; o < stage_.out_channels; ++o) {
      const Entries entries{offsets_.data() + o * most, values_.data() + o * most,
                            counts_[size_of(o)]};
      if (!is_dense()) {
        kernels_.gather_weights(entries, image, row_, stage_.kernel[0], kernel_panels_,
                                gradient_.data() + o * kernel);
      }
      if (image_gradient == nullptr) continue;
      kernels_.scatter_inputs(entries, weights + o * kernel, row_, stage_.kernel[0], kernel_panels_,
                              image_gradient);
    }
  }
}

// The gradients of the outputs at places [begin, end) of an image that are not zero, by channel.
void ConvLayer::collect(std::int64_t begin, std::int64_t end, std::int64_t r, const float* y,
                        const float* d) {
  const std::int64_t channels = stage_.out_channels, most = band_ * stage_.out_width;
  const std::int32_t* const winners = winners_.data() + r * out_stride();
  const bool dense = is_dense();  // then the bias has its gradient
  std::ranges::fill(counts_, 0);
  for (std::int64_t place = begin; place < end; ++place) {
    for (std::int64_t o = 0; o < channels; ++o) {
      const std::int64_t i = place * channels + o;
      const float value = stage_.rectify && !(y[i] > 0.0F) ? 0.0F : d[i];
      std::int64_t& count = counts_[size_of(o)];
      // Written in any case and counted only if it matters: there is no branch to guess.
      offsets_[size_of(o * most + count)] = winners[i];
      values_[size_of(o * most + count)] = value;
      count += static_cast<std::int64_t>(value != 0.0F);
      if (!dense) bias_gradient_[size_of(o)] += value;
    }
  }
}

// Out of packed_, which the next forward fills anew, into the weights' own order.
void ConvLayer::unpack_gradient() {
  for (std::int64_t o = 0; o < stage_.out_channels; ++o) {
    const float* from = packed_.data() + (o / kPanel) * depth() * kPanel + o % kPanel;
    for (std::int64_t ky = 0; ky < stage_.kernel[0]; ++ky) {
      float* const to = gradient_.data() + (o * stage_.kernel[0] + ky) * kernel_panels_ * kPanel;
      for (std::int64_t k = 0; k < stage_.kernel_row(); ++k, from += kPanel) to[k] = *from;
    }
  }
}

void ConvLayer::update(float* weights, float* bias, float rate) {
  if (is_dense()) unpack_gradient();
  // Behind a row of the kernel lies what was behind the rows of the image.
  const std::int64_t row = kernel_panels_ * kPanel;
  for (std::int64_t i = 0; i < std::ssize(gradient_); i += row) {
    std::fill(gradient_.begin() + i + stage_.kernel_row(), gradient_.begin() + i + row, 0.0F);
  }
  kernels_.add(-rate, gradient_.data(), weights, std::ssize(gradient_));
  if (!stage_.bias.empty()) kernels_.add(-rate, bias_gradient_.data(), bias, stage_.out_channels);
}

}  // namespace fedstill::chain
