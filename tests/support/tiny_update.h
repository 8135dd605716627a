#pragma once

#include <cstdint>
#include <string>

#include "model/builder.h"
#include "model/graph.h"

namespace fedstill {

// A client's update as small as one can be: linear logits, and a confidence of one number per
// image.
inline Graph tiny_update(std::uint64_t seed, std::int64_t classes = 3,
                         const SampleShape& image = {1, 4, 4}) {
  GraphBuilder builder("tiny", image, seed);
  const int flat = builder.unary(0, Op::kFlatten);
  const int logits = builder.linear(flat, classes);
  const int squashed = builder.unary(builder.linear(flat, 1), Op::kSigmoid);
  const int confidence = builder.reshape(squashed, {});
  Graph graph = std::move(builder).finish(logits);
  graph.outputs["confidence"] = confidence;
  validate(graph);
  return graph;
}

}  // namespace fedstill
