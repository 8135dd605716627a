#pragma once

#include <ATen/core/Tensor.h>

#include "aggregation/prediction_cache.h"
#include "aggregation/rule.h"

namespace fedstill {

// What the clients of a coordinator say together to "yours, or the pool's?" of every image of the
// cache: [N] float32 in (0, 1), ρ / (1 + ρ) with ρ(x) = Σ_k s_k min(r_k(x) / mean_pool(r_k), clip).
// The shares s_k ∝ n_k (1 − c_k)² sum to one, as in the rule bounded-odds: where the heads are
// optimal this is the density ratio of all their images against the pool, and a head that always
// says "mine" moves it by its share alone. Throws std::invalid_argument if a client's part is
// missing.
at::Tensor joint_confidence(const PredictionCache& cache, const ClientFacts& facts,
                            double ratio_clip = RuleOptions{}.ratio_clip);

}  // namespace fedstill
