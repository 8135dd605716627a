#pragma once

#include "aggregation/rules/sample_rule.h"

namespace fedstill {

// "mean-prob": q = (1/K) Σ_k softmax(z_k). The consensus of FedMD (Li & Wang 2019) on
// probabilities.
class MeanProbability final : public SampleRule {
 public:
  using SampleRule::SampleRule;
};

// "size": w_k = n_k / Σ_j n_j, as FedAvg weighs parameters (McMahan et al. 2017).
class SizeWeighted final : public SampleRule {
 public:
  using SampleRule::SampleRule;

 private:
  std::vector<double> prior(const Facts& facts) const override { return facts.sample_counts; }
};

// "mean-logit": q = softmax((1/K) Σ_k z_k / T), the teacher of FedDF (Lin et al. 2020).
class MeanLogit : public SampleRule {
 public:
  explicit MeanLogit(double temperature) : SampleRule(temperature), temperature_(temperature) {}

 private:
  // What one logit of a client counts in the mean.
  virtual double scale(const Facts& facts, std::size_t client) const;
  void mix(const Opinions& opinions, const Facts& facts, std::span<const double> weights,
           std::span<double> labels) const override;

  double temperature_;
};

// "mean-logit-standardised": the same with z_k / σ_k, where σ_k is the deviation of all logits of
// client k over the pool: architectures differ in scale, and one without normalisation layers would
// otherwise decide alone.
class StandardisedMeanLogit final : public MeanLogit {
 public:
  using MeanLogit::MeanLogit;

 private:
  double scale(const Facts& facts, std::size_t client) const override;
};

}  // namespace fedstill
