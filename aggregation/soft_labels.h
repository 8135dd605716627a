#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "aggregation/prediction_cache.h"
#include "aggregation/rule.h"

namespace fedstill {

struct SoftLabels {
  at::Tensor labels;   // [N, C] float32
  at::Tensor weights;  // [K, N] float32: who decided
};

// Runs a rule over a cache block by block; the block bounds memory and changes nothing else. Throws
// std::invalid_argument if a client's part of the cache is missing.
SoftLabels combine(const Rule& rule, const PredictionCache& cache, const ClientFacts& facts,
                   std::int64_t block = 4096);

// How much each client was trusted, by predicted class (argmax of the soft label). A class that no
// sample was given to has zeros; clients that tie for the largest weight lead in equal parts.
struct TrustReport {
  std::vector<std::vector<double>>
      weight;  // [clients][classes]: mean weight over the samples of that class
  std::vector<std::vector<double>>
      leader;  // [clients][classes]: share of those samples where the client had the largest weight
  std::vector<double> total;  // [clients]: mean weight over all samples
  double entropy = 0.0;  // mean entropy of the soft labels in nats; about 1.4 where the pool is
                         // from another domain
};
TrustReport trust_report(const SoftLabels& soft_labels);

}  // namespace fedstill
