#include "aggregation/rules/certainty.h"

#include <algorithm>
#include <cmath>

namespace fedstill {

void MaxProbability::weigh(const Opinions& opinions, const Facts&,
                           std::span<double> weights) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    weights[k] *= *std::ranges::max_element(opinions.probabilities_of(k));
  }
}

void EntropyWeighted::weigh(const Opinions& opinions, const Facts&,
                            std::span<double> weights) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    weights[k] *= std::exp(-entropy(opinions.probabilities_of(k)) / scale_);
  }
}

double entropy(std::span<const double> probabilities) {
  double sum = 0.0;
  for (const double p : probabilities) {
    if (p > 0.0) sum -= p * std::log(p);
  }
  return sum;
}

}  // namespace fedstill
