#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compression/calibrate.h"

namespace fedstill {

// Post-training static quantization of the output "logits": cut off what else the student has,
// fold, calibrate, round. Schemes: "w8a8". Throws std::invalid_argument naming the node for an
// operator the integer profile has no kernel for (Softmax, a BatchNorm that cannot be folded), for
// logits that are not those of a Linear node and for weights that are not finite.
QuantizedGraph quantize(const Graph& student, std::string_view scheme, const ImageView& calibration,
                        const Normalisation& normalisation, const CalibrationOptions& options = {});

// int8 codes of a float weight [out, …], symmetric in [−127, 127]; scale per output channel, max
// |w| / 127, or 1 where all are zero.
struct QuantizedWeight {
  Tensor codes;
  std::vector<float> scales;
};
QuantizedWeight quantize_weight(const Tensor& weight);

}  // namespace fedstill
