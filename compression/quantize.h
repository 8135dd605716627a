#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compression/calibrate.h"

namespace fedstill {

// Post-training static quantization: fold, calibrate, round. Schemes: "w8a8". Throws
// std::invalid_argument for an operator the integer profile has no kernel for, naming the node.
QuantizedGraph quantize(const Graph& student, std::string_view scheme, const ImageView& calibration,
                        const Normalisation& normalisation, const CalibrationOptions& options = {});

// int8 codes of a float weight [out, …], symmetric in [−127, 127]; scale per output channel, max
// |w| / 127.
struct QuantizedWeight {
  Tensor codes;
  std::vector<float> scales;
};
QuantizedWeight quantize_weight(const Tensor& weight);

}  // namespace fedstill
