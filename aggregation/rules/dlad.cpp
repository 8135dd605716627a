#include "aggregation/rules/dlad.h"

#include <algorithm>

namespace fedstill {

void ConfidenceSoftmax::weigh(const Opinions& opinions, const Facts&,
                              std::span<double> weights) const {
  std::ranges::copy(opinions.confidences, weights.begin());
  softmax(weights, softmax_temperature_);
}

void ConfidenceRatio::weigh(const Opinions& opinions, const Facts&,
                            std::span<double> weights) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) weights[k] *= opinions.confidences[k];
}

void ConfidenceOdds::weigh(const Opinions& opinions, const Facts&,
                           std::span<double> weights) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    weights[k] *= clamped_odds(opinions.confidences[k]);
  }
}

}  // namespace fedstill
