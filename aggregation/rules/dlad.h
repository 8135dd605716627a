#pragma once

#include "aggregation/rules/sample_rule.h"

namespace fedstill {

// Rules in the style of DLAD (Ma, Yonetani, Iqbal 2020): h_k(x) is the probability, by client k's
// head, that x is the client's own data and not the pool's.

// "dlad-softmax": w_k ∝ exp(h_k / τ).
class ConfidenceSoftmax final : public SampleRule {
 public:
  ConfidenceSoftmax(double temperature, double softmax_temperature)
      : SampleRule(temperature), softmax_temperature_(softmax_temperature) {}

 private:
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;

  double softmax_temperature_;
};

// "dlad-ratio": w_k ∝ h_k.
class ConfidenceRatio final : public SampleRule {
 public:
  using SampleRule::SampleRule;

 private:
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;
};

// "dlad-odds": w_k ∝ n_k r_k, r_k = h_k / (1 − h_k) clamped to [1e-3, 1e3]. With an optimal head
// r_k is the density ratio p_k / p_pool, and the teacher is the posterior of the pooled mixture.
class ConfidenceOdds final : public SampleRule {
 public:
  using SampleRule::SampleRule;

 private:
  std::vector<double> prior(const Facts& facts) const override { return facts.sample_counts; }
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;
};

}  // namespace fedstill
