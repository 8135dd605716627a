#include "aggregation/rules/averages.h"

namespace fedstill {
namespace {

constexpr double kSmallestDeviation = 1e-12;  // below: the logits are constant and say nothing

}  // namespace

double MeanLogit::scale(const Facts&, std::size_t) const { return 1.0; }

void MeanLogit::mix(const Opinions& opinions, const Facts& facts, std::span<const double> weights,
                    std::span<double> labels) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    const auto logits = opinions.logits_of(k);
    const double factor = weights[k] * scale(facts, k);
    for (std::size_t c = 0; c < opinions.classes; ++c) labels[c] += factor * logits[c];
  }
  softmax(labels, temperature_);
}

double StandardisedMeanLogit::scale(const Facts& facts, std::size_t client) const {
  const double deviation = facts.logit_deviation[client];
  return deviation > kSmallestDeviation ? 1.0 / deviation : 1.0;
}

}  // namespace fedstill
