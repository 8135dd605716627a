#pragma once

#include "aggregation/rules/sample_rule.h"

namespace fedstill {

// Rules that trust a client by how sure its own prediction looks. They need nothing but logits, and
// share one weakness: networks are overconfident off their domain.

// "max-prob": w_k ∝ max_c p_k,c.
class MaxProbability final : public SampleRule {
 public:
  using SampleRule::SampleRule;

 private:
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;
};

// "entropy": w_k ∝ exp(−H(p_k) / scale), H in nats.
class EntropyWeighted final : public SampleRule {
 public:
  EntropyWeighted(double temperature, double scale) : SampleRule(temperature), scale_(scale) {}

 private:
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;

  double scale_;
};

double entropy(std::span<const double> probabilities);  // nats; 0 log 0 = 0

}  // namespace fedstill
