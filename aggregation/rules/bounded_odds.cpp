#include "aggregation/rules/bounded_odds.h"

#include <algorithm>

namespace fedstill {

std::vector<double> BoundedOdds::prior(const Facts& facts) const {
  if (facts.foreign_pool) return SampleRule::prior(facts);
  return capped_shares(facts.sample_counts, share_cap_);
}

void BoundedOdds::weigh(const Opinions& opinions, const Facts& facts,
                        std::span<double> weights) const {
  if (facts.foreign_pool) return;
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    weights[k] *= std::min(clamped_odds(opinions.confidences[k]) / facts.mean_odds[k], clip_);
  }
}

}  // namespace fedstill
