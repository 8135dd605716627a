#pragma once

#include <ATen/core/Tensor.h>

#include "aggregation/prediction_cache.h"

namespace fedstill {

// How often each client contradicts the others on what they know, [K] float64 in [0, 1]: of all
// images that the other clients claim (counted once for each of them), the share that this client
// claims too and puts in another class. A client claims an image where the odds of its head are at
// least half their mean over the pool.
//
// No labels are needed: an honest specialist claims little of what others know, one with the same
// data claims all of it and mostly agrees, and only a client that is wrong about nearly everything
// it claims, and claims nearly everything, comes near 1. Zero where nobody else claims anything.
// Requires: a complete cache, mean_odds as ClientFacts has them. O(K · N).
at::Tensor measure_contradictions(const PredictionCache& pool, const at::Tensor& mean_odds);

}  // namespace fedstill
