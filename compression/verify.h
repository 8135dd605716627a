#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "compression/quantize.h"

namespace fedstill {

// What LayerNoise says where nothing was lost; no figure is beyond it.
inline constexpr double kLosslessDecibel = 200.0;

// 10·log10(Σ float² / Σ (float − dequantized)²) over the images looked at. A layer together with
// the activation that its clamp applies is one entry, under the layer's name.
struct LayerNoise {
  std::string node;
  double signal_to_noise_db = 0.0;
};

struct GateReport {
  double agreement = 0.0;  // share of images with the same top class, float student against the
                           // integer interpreter
  std::int64_t images = 0;
  std::vector<LayerNoise> layers;  // in node order
};

struct GateOptions {
  double minimum_agreement = 0.97;
  std::int64_t layer_images = 256;  // for the per-layer figures
};

// The bundle must not be written: agreement too low. The message names the layer with the largest
// fall of signal-to-noise.
class GateError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs the integer interpreter against the float student on the images and throws GateError below
// the minimum.
GateReport verify(const Graph& student, const QuantizedGraph& quantized, const ImageView& images,
                  const Normalisation& normalisation, const GateOptions& options = {});

}  // namespace fedstill
