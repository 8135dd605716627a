#include "aggregation/rules/bounded_odds.h"

#include <algorithm>

namespace fedstill {

std::vector<double> BoundedOdds::prior(const Facts& facts) const {
  if (facts.foreign_pool) return SampleRule::prior(facts);
  std::vector<double> shares = capped_shares(facts.sample_counts, share_cap_);
  for (std::size_t k = 0; k < shares.size(); ++k) {
    const double agreement = 1.0 - facts.contradiction[k];
    shares[k] *= agreement * agreement;
  }
  return shares;
}

void BoundedOdds::weigh(const Opinions& opinions, const Facts& facts,
                        std::span<double> weights) const {
  if (facts.foreign_pool) return;
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    weights[k] *= std::min(clamped_odds(opinions.confidences[k]) / facts.mean_odds[k], clip_);
  }
}

}  // namespace fedstill
