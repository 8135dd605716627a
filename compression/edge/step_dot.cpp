#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "compression/edge/layer_weights.h"

namespace fedstill {
namespace {

std::int64_t ceil_divide(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

// A convolution as many small matrix products, without building the matrix: channels-last, the
// window of an output position is a few contiguous runs of bytes (one per kernel row, or one per
// tap if groups or dilation break it up), the same ones relative to its first byte everywhere.
class DotStep {
 public:
  explicit DotStep(const StepContext& context)
      : layer_(layer_weights(context)),
        kernels_(&context.kernels),
        output_(context.output.data),
        logits_(context.logits),
        requantization_(requantization(context)),
        groups_(context.node.op == Op::kConv2d ? context.node.attributes.groups : 1),
        group_outputs_(layer_.outputs / groups_) {
    if (context.node.op == Op::kConv2d) {
      plan_convolution(context);
    } else {
      input_ = context.inputs[0].data;
      positions_ = {0};
      plan_runs({0}, layer_.depth);
    }
    pack();
  }

  void operator()() {
    const std::uint8_t* input = padded_ ? padded_->refresh() : input_;
    const std::int64_t panels = ceil_divide(group_outputs_, kPanel);
    for (std::int64_t group = 0; group < groups_; ++group) {
      for (std::int64_t panel = 0; panel < panels; panel += 2) {
        const std::int64_t columns =
            std::min<std::int64_t>(group_outputs_ - panel * kPanel, 2 * kPanel);
        columns_of(input + group * group_depth_, group * panels + panel,
                   group * group_outputs_ + panel * kPanel, columns);
      }
    }
  }

 private:
  void plan_convolution(const StepContext& context) {
    const Attributes& a = context.node.attributes;
    padded_.emplace(context);
    positions_ = window_offsets(context, *padded_);
    group_depth_ = padded_->channels() / groups_;
    const bool whole_rows = groups_ == 1 && a.dilation[1] == 1;
    std::vector<std::int64_t> starts;
    for (std::int64_t y = 0; y < a.kernel[0]; ++y) {
      for (std::int64_t x = 0; x < (whole_rows ? 1 : a.kernel[1]); ++x) {
        starts.push_back((y * a.dilation[0] * padded_->width() + x * a.dilation[1]) *
                         padded_->channels());
      }
    }
    plan_runs(starts, whole_rows ? a.kernel[1] * group_depth_ : group_depth_);
  }

  void plan_runs(const std::vector<std::int64_t>& starts, std::int64_t length) {
    run_length_ = length;
    for (const std::int64_t start : starts) {
      for (std::int64_t i = 0; i < length; i += kDepth) {
        offsets_.push_back(static_cast<std::int32_t>(start + i));
      }
    }
  }

  std::int64_t steps() const { return static_cast<std::int64_t>(offsets_.size()); }

  // [group][panel][step][column][k], zero where a run or a panel ends early.
  void pack() {
    const std::int64_t panels = ceil_divide(group_outputs_, kPanel);
    const std::int64_t steps_per_run = ceil_divide(run_length_, kDepth);
    packed_.assign(static_cast<std::size_t>(groups_ * panels * steps() * kPanel * kDepth), 0);
    for (std::int64_t out = 0; out < layer_.outputs; ++out) {
      const std::int64_t group = out / group_outputs_, column = out % group_outputs_;
      const std::int64_t panel = group * panels + column / kPanel;
      for (std::int64_t i = 0; i < layer_.depth; ++i) {
        const std::int64_t in_run = i % run_length_;
        const std::int64_t step = i / run_length_ * steps_per_run + in_run / kDepth;
        packed_[static_cast<std::size_t>(
            ((panel * steps() + step) * kPanel + column % kPanel) * kDepth + in_run % kDepth)] =
            layer_.values[static_cast<std::size_t>(out * layer_.depth + i)];
      }
    }
    layer_.values = {};
  }

  void columns_of(const std::uint8_t* input, std::int64_t panel, std::int64_t first,
                  std::int64_t columns) {
    const auto count = static_cast<std::int64_t>(positions_.size());
    const int panels = columns > kPanel ? 2 : 1;
    const std::int8_t* weights = packed_.data() + panel * steps() * kPanel * kDepth;
    std::array<const std::uint8_t*, kTileRows> rows{};
    std::array<std::int32_t, kTileRows * 2 * kPanel> sums;
    for (std::int64_t position = 0; position < count; position += kTileRows) {
      const std::int64_t found = std::min<std::int64_t>(count - position, kTileRows);
      for (std::int64_t row = 0; row < kTileRows; ++row) {
        const std::int64_t at = position + std::min(row, found - 1);
        rows[static_cast<std::size_t>(row)] = input + positions_[static_cast<std::size_t>(at)];
      }
      kernels_->dot[found > 1][panels - 1](rows.data(), offsets_.data(), steps(), weights,
                                           sums.data());
      for (std::int64_t row = 0; row < found; ++row) {
        finish(sums.data() + row * panels * kPanel, position + row, first, columns);
      }
    }
  }

  void finish(const std::int32_t* sums, std::int64_t position, std::int64_t first,
              std::int64_t columns) {
    if (logits_ == nullptr) {
      requantization_.bias = layer_.bias.data() + first;
      requantization_.multiplier = layer_.multiplier.data() + first;
      kernels_->requantize(sums, columns, requantization_,
                           output_ + position * layer_.outputs + first);
      return;
    }
    for (std::int64_t c = 0; c < columns; ++c) {
      const auto out = static_cast<std::size_t>(first + c);
      logits_[first + c] = static_cast<float>(sums[c] + layer_.bias[out]) * layer_.multiplier[out];
    }
  }

  LayerWeights layer_;
  const Kernels* kernels_;
  std::uint8_t* output_;
  float* logits_;
  Requantization requantization_;
  std::int64_t groups_, group_outputs_, group_depth_ = 0, run_length_ = 0;
  const std::uint8_t* input_ = nullptr;
  std::optional<PaddedInput> padded_;
  std::vector<std::int32_t> positions_, offsets_;
  std::vector<std::int8_t> packed_;
};

}  // namespace

Step make_dot_step(const StepContext& context) { return DotStep(context); }

}  // namespace fedstill
