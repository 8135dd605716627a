#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "data/batches.h"
#include "data/images.h"
#include "model/graph.h"

namespace fedstill {

// The values of some nodes in a block of images, [images, …] in the sample shapes of the graph.
struct TapBlock {
  std::int64_t first;                          // position of the first image in the view
  std::int64_t count;                          // images in the block
  std::span<const float> images;               // normalised
  std::vector<std::span<const float>> values;  // per wanted node
};

// Runs a folded float graph in eval mode over the first `count` images of the view, block by block,
// and shows the values of the wanted nodes. Throws std::invalid_argument if the view has no images
// or they do not fit the graph.
void tap_float_values(const Graph& folded, const ImageView& images,
                      const Normalisation& normalisation, std::int64_t count,
                      std::span<const int> wanted,
                      const std::function<void(const TapBlock&)>& on_block);

}  // namespace fedstill
