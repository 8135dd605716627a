#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/batches.h"
#include "data/images.h"
#include "model/graph.h"
#include "model/quantized_graph.h"

namespace fedstill {

struct CalibrationOptions {
  std::string method = "minimum-error";  // "min-max", "percentile", "minimum-error" (least squared
                                         // rounding and clipping error)
  double percentile = 99.99;
  std::int64_t images = 1024;  // of the pool, the first ones in its order
};
std::vector<std::string_view> calibration_methods();

// One scale per node of a folded float graph, measured in float on the images; the sharing rules of
// QuantizedGraph applied. The input's range is everything a pixel can be, so no image is clipped.
// Throws std::invalid_argument for an unknown method, for no images and, naming the node, for
// values that are not finite.
std::vector<ActivationScale> calibrate(const Graph& folded, const ImageView& images,
                                       const Normalisation& normalisation,
                                       const CalibrationOptions& options = {});

}  // namespace fedstill
