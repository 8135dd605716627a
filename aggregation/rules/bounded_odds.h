#pragma once

#include "aggregation/rules/sample_rule.h"

namespace fedstill {

// "bounded-odds": w_k ∝ n_k · (1 − c_k)² · min(r_k(x) / mean_pool(r_k), clip), with n_k capped at a
// share and c_k how often the client contradicts the others (aggregation/contradiction.h).
//
// A true density ratio p_k / p_pool averages to one over the pool, so dividing the odds by their
// mean leaves an honest client's weight alone and reduces one whose head always says "mine" to its
// sample count; the clip bounds what a client can gain on a chosen sample; and one that is wrong
// wherever it claims to know loses its weight. On a foreign pool (ClientFacts::foreign_pool) the
// ratios mean nothing, and the rule is "mean-prob".
class BoundedOdds final : public SampleRule {
 public:
  BoundedOdds(double temperature, double clip, double share_cap)
      : SampleRule(temperature), clip_(clip), share_cap_(share_cap) {}

 private:
  std::vector<double> prior(const Facts& facts) const override;
  void weigh(const Opinions& opinions, const Facts& facts,
             std::span<double> weights) const override;

  double clip_, share_cap_;
};

}  // namespace fedstill
