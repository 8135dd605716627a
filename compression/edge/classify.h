#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "model/quantized_graph.h"

namespace fedstill {

// Where the uint8 pixels [C, H, W] of image i are; called from several threads.
using PixelSource = std::function<std::span<const std::uint8_t>(std::int64_t i)>;

// (pixel / 255 − mean) / deviation per channel, as EdgeBundle holds it.
struct PixelScaling {
  std::span<const float> mean, deviation;  // [C]
};

struct ClassifyOptions {
  int threads = 1;                                  // each has its own Interpreter
  std::function<void(std::int64_t done)> on_block;  // now and then, from one thread at a time
};

// The logits of count images, [count, classes] row by row; independent of the number of threads.
// Throws std::invalid_argument as Interpreter does, and if an image has the wrong size.
std::vector<float> evaluate(const QuantizedGraph& graph, std::int64_t count,
                            const PixelSource& images, const PixelScaling& scaling,
                            const ClassifyOptions& options = {});
// The same from normalised float images, one after another.
std::vector<float> evaluate(const QuantizedGraph& graph, std::span<const float> images,
                            const ClassifyOptions& options = {});

// The class with the largest logit per row (the first of equals).
std::vector<int> top_classes(std::span<const float> logits, std::int64_t count);

std::vector<int> classify(const QuantizedGraph& graph, std::int64_t count,
                          const PixelSource& images, const PixelScaling& scaling,
                          const ClassifyOptions& options = {});
std::vector<int> classify(const QuantizedGraph& graph, std::span<const float> images,
                          const ClassifyOptions& options = {});

}  // namespace fedstill
