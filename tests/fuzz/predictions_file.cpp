// Three samples of two classes: what is accepted holds only what is promised.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "data/predictions_file.h"
#include "model/decode_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fedstill::PredictionsShape shape{std::string(64, 'a'), 3, 2};
  try {
    const auto claimed = fedstill::decode_predictions_shape(std::as_bytes(std::span(data, size)));
    if (claimed.samples < 1 || claimed.classes < 1) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  try {
    const auto predictions =
        fedstill::decode_predictions(std::as_bytes(std::span(data, size)), shape);
    if (predictions.logits.size() != 6 || predictions.confidences.size() != 3) std::abort();
    for (const float value : predictions.logits) {
      if (!std::isfinite(value)) std::abort();
    }
    for (const float value : predictions.confidences) {
      if (!(value >= 0.0F && value <= 1.0F)) std::abort();
    }
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
