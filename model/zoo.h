#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/graph.h"

namespace fedstill {

struct ImageShape {
  std::int64_t channels = 1;
  std::int64_t height = 28;
  std::int64_t width = 28;
  bool operator==(const ImageShape&) const = default;
};

// Names make_model accepts, in a stable order: mlp, lenet5, cnn3, resnet8, resnet20, vgg-small,
// mobilenetv2-small, ghostnet-small, resnet8-wide, cnn3-flat.
std::vector<std::string_view> zoo_names();

// Builds an architecture of the zoo with initialised weights and the single output "logits" [N,
// classes]. The same seed gives the same bits on every machine. Throws std::invalid_argument for an
// unknown name (listing the known ones) or an image too small for the architecture (smaller than 16
// × 16).
Graph make_model(std::string_view name, const ImageShape& image, std::int64_t classes,
                 std::uint64_t seed);

// The node whose activation feeds the last Linear of the output "logits": the penultimate features.
int penultimate_node(const Graph& graph);

}  // namespace fedstill
