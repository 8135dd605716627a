#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill::test {

// The specification of the integer arithmetic, one output value at a time: channels first, real
// padding tests, 64-bit sums, no fusion (a ReLU is a maximum over codes).
class NaiveEvaluator {
 public:
  explicit NaiveEvaluator(const QuantizedGraph& model)
      : model_(model), shapes_(infer_shapes(model.graph)), codes_(model.graph.nodes.size()) {}

  std::vector<float> run(const std::vector<float>& image) {
    for (const float value : image) codes_[0].push_back(quantize(value, model_.activations[0]));
    for (std::size_t i = 1; i < codes_.size(); ++i) evaluate(i);
    return logits_;
  }

  const std::vector<int>& codes(std::size_t node) const { return codes_[node]; }

 private:
  static int quantize(float value, const ActivationScale& to) {
    return static_cast<int>(std::clamp(
        std::nearbyint(value / to.scale) + static_cast<float>(to.zero_point), 0.0F, 255.0F));
  }
  static int requantize(std::int64_t sum, float multiplier, const ActivationScale& to) {
    const float real = static_cast<float>(static_cast<std::int32_t>(sum)) * multiplier;
    return static_cast<int>(
        std::clamp(std::nearbyint(real) + static_cast<float>(to.zero_point), 0.0F, 255.0F));
  }
  static float real(int code, const ActivationScale& scale) {
    return static_cast<float>(code - scale.zero_point) * scale.scale;
  }

  const Node& node(std::size_t i) const { return model_.graph.nodes[i]; }
  std::size_t input(std::size_t i, std::size_t n = 0) const {
    return static_cast<std::size_t>(node(i).inputs[n]);
  }
  int at(std::size_t n, std::int64_t c, std::int64_t y, std::int64_t x) const {
    const SampleShape& s = shapes_[n];
    return codes_[n][static_cast<std::size_t>((c * s[1] + y) * s[2] + x)];
  }
  bool inside(std::size_t n, std::int64_t y, std::int64_t x) const {
    return y >= 0 && x >= 0 && y < shapes_[n][1] && x < shapes_[n][2];
  }

  void evaluate(std::size_t i) {
    switch (node(i).op) {
      case Op::kConv2d:
        return convolution(i);
      case Op::kLinear:
        return linear(i);
      case Op::kMaxPool:
      case Op::kAveragePool:
      case Op::kGlobalAveragePool:
        return pool(i);
      case Op::kAdd:
      case Op::kMul:
        return pair(i);
      case Op::kConcat:
        return concat(i);
      case Op::kSlice:
        return slice(i);
      case Op::kUpsample:
        return upsample(i);
      case Op::kFlatten:
      case Op::kReshape:
        codes_[i] = codes_[input(i)];
        return;
      default:
        return unary(i);
    }
  }

  std::int64_t weight(std::size_t i, std::int64_t index) const {
    return model_.graph.tensors.at(node(i).parameters[0])
        .values<std::int8_t>()[static_cast<std::size_t>(index)];
  }
  std::int64_t bias(std::size_t i, std::int64_t out) const {
    if (node(i).parameters.size() < 2) return 0;
    return model_.graph.tensors.at(node(i).parameters[1])
        .values<std::int32_t>()[static_cast<std::size_t>(out)];
  }
  float product_scale(std::size_t i, std::int64_t out) const {
    return model_.activations[input(i)].scale *
           model_.weight_scales.at(node(i).parameters[0])[static_cast<std::size_t>(out)];
  }

  void convolution(std::size_t i) {
    const Attributes& a = node(i).attributes;
    const std::size_t from = input(i);
    const std::int64_t depth = shapes_[from][0] / a.groups,
                       group_outputs = a.out_features / a.groups;
    for (std::int64_t o = 0; o < shapes_[i][0]; ++o) {
      for (std::int64_t y = 0; y < shapes_[i][1]; ++y) {
        for (std::int64_t x = 0; x < shapes_[i][2]; ++x) {
          std::int64_t sum = bias(i, o);
          for (std::int64_t c = 0; c < depth; ++c) {
            for (std::int64_t ky = 0; ky < a.kernel[0]; ++ky) {
              for (std::int64_t kx = 0; kx < a.kernel[1]; ++kx) {
                const std::int64_t sy = y * a.stride[0] - a.padding[0] + ky * a.dilation[0];
                const std::int64_t sx = x * a.stride[1] - a.padding[1] + kx * a.dilation[1];
                if (!inside(from, sy, sx)) continue;
                sum += (at(from, o / group_outputs * depth + c, sy, sx) -
                        model_.activations[from].zero_point) *
                       weight(i, ((o * depth + c) * a.kernel[0] + ky) * a.kernel[1] + kx);
              }
            }
          }
          codes_[i].push_back(requantize(sum, product_scale(i, o) / model_.activations[i].scale,
                                         model_.activations[i]));
        }
      }
    }
  }

  void linear(std::size_t i) {
    const std::vector<int>& x = codes_[input(i)];
    const auto count = static_cast<std::int64_t>(x.size());
    for (std::int64_t o = 0; o < shapes_[i][0]; ++o) {
      std::int64_t sum = bias(i, o);
      for (std::int64_t k = 0; k < count; ++k) {
        sum += (x[static_cast<std::size_t>(k)] - model_.activations[input(i)].zero_point) *
               weight(i, o * count + k);
      }
      if (static_cast<int>(i) == model_.graph.output("logits")) {
        logits_.push_back(static_cast<float>(static_cast<std::int32_t>(sum)) * product_scale(i, o));
      }
      codes_[i].push_back(requantize(sum, product_scale(i, o) / model_.activations[i].scale,
                                     model_.activations[i]));
    }
  }

  void pool(std::size_t i) {
    Attributes a = node(i).attributes;
    const std::size_t from = input(i);
    const bool global = node(i).op == Op::kGlobalAveragePool, maximum = node(i).op == Op::kMaxPool;
    if (global) a.kernel = {shapes_[from][1], shapes_[from][2]}, a.padding = {0, 0};
    for (std::int64_t c = 0; c < shapes_[i][0]; ++c) {
      for (std::int64_t y = 0; y < (global ? 1 : shapes_[i][1]); ++y) {
        for (std::int64_t x = 0; x < (global ? 1 : shapes_[i][2]); ++x) {
          int best = 0;
          std::int64_t sum = 0;
          for (std::int64_t ky = 0; ky < a.kernel[0]; ++ky) {
            for (std::int64_t kx = 0; kx < a.kernel[1]; ++kx) {
              const std::int64_t sy = y * a.stride[0] - a.padding[0] + ky;
              const std::int64_t sx = x * a.stride[1] - a.padding[1] + kx;
              if (!inside(from, sy, sx)) continue;
              best = std::max(best, at(from, c, sy, sx));
              sum += at(from, c, sy, sx) - model_.activations[from].zero_point;
            }
          }
          const float area = static_cast<float>(a.kernel[0] * a.kernel[1]);
          const float multiplier =
              model_.activations[from].scale / (model_.activations[i].scale * area);
          codes_[i].push_back(maximum ? best : requantize(sum, multiplier, model_.activations[i]));
        }
      }
    }
  }

  void pair(std::size_t i) {
    const std::size_t l = input(i), r = input(i, 1);
    const ActivationScale &ls = model_.activations[l], &rs = model_.activations[r];
    const ActivationScale& to = model_.activations[i];
    for (std::size_t k = 0; k < codes_[l].size(); ++k) {
      if (node(i).op == Op::kAdd) {
        const float left = real(codes_[l][k], ls), right = real(codes_[r][k], rs);
        codes_[i].push_back(quantize(left + right, to));
      } else {
        codes_[i].push_back(
            requantize((codes_[l][k] - ls.zero_point) * (codes_[r][k] - rs.zero_point),
                       ls.scale * rs.scale / to.scale, to));
      }
    }
  }

  // Position of a flat index of the shape along an axis, and the flat index after a shift there.
  static std::int64_t stride(const SampleShape& shape, std::int64_t axis) {
    std::int64_t step = 1;
    for (auto k = static_cast<std::size_t>(axis) + 1; k < shape.size(); ++k) step *= shape[k];
    return step;
  }

  void concat(std::size_t i) {
    const std::int64_t axis = node(i).attributes.axis, inner = stride(shapes_[i], axis);
    const std::int64_t length = shapes_[i][static_cast<std::size_t>(axis)];
    for (std::int64_t k = 0; k < element_count(shapes_[i]); ++k) {
      std::int64_t position = k / inner % length;
      const std::int64_t outer = k / inner / length;
      std::size_t n = 0;
      std::int64_t part = shapes_[input(i, n)][static_cast<std::size_t>(axis)];
      while (position >= part) {
        position -= part;
        part = shapes_[input(i, ++n)][static_cast<std::size_t>(axis)];
      }
      const int code = codes_[input(
          i, n)][static_cast<std::size_t>((outer * part + position) * inner + k % inner)];
      codes_[i].push_back(
          quantize(real(code, model_.activations[input(i, n)]), model_.activations[i]));
    }
  }

  void slice(std::size_t i) {
    const Attributes& a = node(i).attributes;
    const std::int64_t inner = stride(shapes_[i], a.axis), length = a.end - a.begin;
    const std::int64_t whole = shapes_[input(i)][static_cast<std::size_t>(a.axis)];
    for (std::int64_t k = 0; k < element_count(shapes_[i]); ++k) {
      const std::int64_t position = k / inner % length + a.begin, outer = k / inner / length;
      codes_[i].push_back(codes_[input(i)][static_cast<std::size_t>(
          (outer * whole + position) * inner + k % inner)]);
    }
  }

  void upsample(std::size_t i) {
    const std::int64_t scale = node(i).attributes.scale;
    for (std::int64_t c = 0; c < shapes_[i][0]; ++c) {
      for (std::int64_t y = 0; y < shapes_[i][1]; ++y) {
        for (std::int64_t x = 0; x < shapes_[i][2]; ++x) {
          codes_[i].push_back(at(input(i), c, y / scale, x / scale));
        }
      }
    }
  }

  void unary(std::size_t i) {
    const Attributes& a = node(i).attributes;
    const ActivationScale& to = model_.activations[i];
    for (const int code : codes_[input(i)]) {
      const float x = real(code, model_.activations[input(i)]);
      const double wide = x, gate = std::min(std::max(wide + 3.0, 0.0), 6.0) / 6.0;
      double y = 0.0;
      if (node(i).op == Op::kReLU) y = std::max(x, 0.0F);
      if (node(i).op == Op::kClip) y = std::clamp(x, a.low, a.high);
      if (node(i).op == Op::kLeakyReLU) y = wide < 0.0 ? wide * a.slope : wide;
      if (node(i).op == Op::kHardSwish) y = wide * gate;
      if (node(i).op == Op::kHardSigmoid) y = gate;
      if (node(i).op == Op::kSigmoid) y = 1.0 / (1.0 + std::exp(-wide));
      if (node(i).op == Op::kTanh) y = std::tanh(wide);
      codes_[i].push_back(quantize(static_cast<float>(y), to));
    }
  }

  const QuantizedGraph& model_;
  std::vector<SampleShape> shapes_;
  std::vector<std::vector<int>> codes_;
  std::vector<float> logits_;
};

}  // namespace fedstill::test
