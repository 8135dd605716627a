#pragma once

#include <ATen/core/Tensor.h>

#include "aggregation/prediction_cache.h"
#include "aggregation/rule.h"

namespace fedstill {

// What the clients of a coordinator say together to "yours, or the pool's?" of every image of the
// cache: [N] float32 in (0, 1), ρ / (1 + ρ) with ρ(x) = Σ_k s_k min(r_k(x) / mean_pool(r_k), clip).
// The shares s_k sum to one and are those of the rule bounded-odds, n_k capped and times (1 −
// c_k)²: where the heads are optimal this is the density ratio of all their images against the
// pool, and a head that always says "mine" moves it by its share alone. On a foreign pool ρ is 1.
// Throws std::invalid_argument if a client's part is missing.
at::Tensor joint_confidence(const PredictionCache& cache, const ClientFacts& facts,
                            const RuleOptions& options = {});

}  // namespace fedstill
