#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "model/graph.h"

namespace fedstill::tests {

// The operators of the naive executor that move a window over an image.

// A node's output with its shape; at(c, y, x) is zero-based and unchecked.
struct NaiveTensor {
  SampleShape shape;
  std::vector<double> values;

  double& at(std::int64_t c, std::int64_t y, std::int64_t x) {
    return values[static_cast<std::size_t>((c * shape[1] + y) * shape[2] + x)];
  }
  double at(std::int64_t c, std::int64_t y, std::int64_t x) const {
    return values[static_cast<std::size_t>((c * shape[1] + y) * shape[2] + x)];
  }
  bool contains(std::int64_t y, std::int64_t x) const {
    return y >= 0 && y < shape[1] && x >= 0 && x < shape[2];
  }
};

inline NaiveTensor naive_empty(SampleShape shape) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  return {std::move(shape), std::vector<double>(count)};
}

inline double naive_conv_at(const Node& node, const NaiveTensor& in, std::span<const float> weight,
                            std::int64_t o, std::int64_t y, std::int64_t x) {
  const Attributes& a = node.attributes;
  const std::int64_t inputs = in.shape[0] / a.groups;  // channels one filter sees
  const std::int64_t group = o / (a.out_features / a.groups);
  double sum = 0.0;
  for (std::int64_t c = 0; c < inputs; ++c) {
    for (std::int64_t i = 0; i < a.kernel[0]; ++i) {
      for (std::int64_t j = 0; j < a.kernel[1]; ++j) {
        const std::int64_t row = y * a.stride[0] - a.padding[0] + i * a.dilation[0];
        const std::int64_t column = x * a.stride[1] - a.padding[1] + j * a.dilation[1];
        if (!in.contains(row, column)) continue;
        const std::int64_t at = ((o * inputs + c) * a.kernel[0] + i) * a.kernel[1] + j;
        sum +=
            double{weight[static_cast<std::size_t>(at)]} * in.at(group * inputs + c, row, column);
      }
    }
  }
  return sum;
}

inline NaiveTensor naive_conv(const Node& node, const NaiveTensor& in,
                              std::span<const float> weight, std::span<const float> bias) {
  const Attributes& a = node.attributes;
  const auto size = [&](std::size_t i) {
    const std::int64_t extent = a.dilation[i] * (a.kernel[i] - 1) + 1;
    return (in.shape[i + 1] + 2 * a.padding[i] - extent) / a.stride[i] + 1;
  };
  NaiveTensor out = naive_empty({a.out_features, size(0), size(1)});
  for (std::int64_t o = 0; o < out.shape[0]; ++o) {
    for (std::int64_t y = 0; y < out.shape[1]; ++y) {
      for (std::int64_t x = 0; x < out.shape[2]; ++x) {
        out.at(o, y, x) = naive_conv_at(node, in, weight, o, y, x) +
                          (bias.empty() ? 0.0 : double{bias[static_cast<std::size_t>(o)]});
      }
    }
  }
  return out;
}

inline double naive_pool_at(const Node& node, const NaiveTensor& in, std::int64_t c, std::int64_t y,
                            std::int64_t x) {
  const Attributes& a = node.attributes;
  double sum = 0.0;
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < a.kernel[0]; ++i) {
    for (std::int64_t j = 0; j < a.kernel[1]; ++j) {
      const std::int64_t row = y * a.stride[0] - a.padding[0] + i;
      const std::int64_t column = x * a.stride[1] - a.padding[1] + j;
      if (!in.contains(row, column)) continue;
      sum += in.at(c, row, column);
      largest = std::max(largest, in.at(c, row, column));
    }
  }
  return node.op == Op::kMaxPool ? largest : sum / static_cast<double>(a.kernel[0] * a.kernel[1]);
}

inline NaiveTensor naive_pool(const Node& node, const NaiveTensor& in) {
  const Attributes& a = node.attributes;
  const auto size = [&](std::size_t i) {
    return (in.shape[i + 1] + 2 * a.padding[i] - a.kernel[i]) / a.stride[i] + 1;
  };
  NaiveTensor out = naive_empty({in.shape[0], size(0), size(1)});
  for (std::int64_t c = 0; c < out.shape[0]; ++c) {
    for (std::int64_t y = 0; y < out.shape[1]; ++y) {
      for (std::int64_t x = 0; x < out.shape[2]; ++x) {
        out.at(c, y, x) = naive_pool_at(node, in, c, y, x);
      }
    }
  }
  return out;
}

inline NaiveTensor naive_upsample(const Node& node, const NaiveTensor& in) {
  const std::int64_t scale = node.attributes.scale;
  NaiveTensor out = naive_empty({in.shape[0], in.shape[1] * scale, in.shape[2] * scale});
  for (std::int64_t c = 0; c < out.shape[0]; ++c) {
    for (std::int64_t y = 0; y < out.shape[1]; ++y) {
      for (std::int64_t x = 0; x < out.shape[2]; ++x) {
        out.at(c, y, x) = in.at(c, y / scale, x / scale);
      }
    }
  }
  return out;
}

}  // namespace fedstill::tests
