#include "aggregation/contradiction.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "aggregation/rules/sample_rule.h"

namespace fedstill {
namespace {

// Half the mean rather than the mean itself: a head that hovers around its mean still claims all.
constexpr double kClaimsFrom = 0.5;

// The class this client gives to each image it claims, -1 for the others.
std::vector<std::int32_t> claimed_classes(const PredictionCache& pool, std::int64_t client,
                                          double mean_odds) {
  const auto logits = pool.logits(client), confidences = pool.confidences(client);
  const auto classes = static_cast<std::size_t>(pool.key().classes);
  std::vector<std::int32_t> out(confidences.size(), -1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (clamped_odds(static_cast<double>(confidences[i])) < kClaimsFrom * mean_odds) continue;
    const auto row = logits.subspan(i * classes, classes);
    out[i] = static_cast<std::int32_t>(std::ranges::max_element(row) - row.begin());
  }
  return out;
}

struct Claims {
  explicit Claims(const PredictionCache& pool)
      : classes(static_cast<std::size_t>(pool.key().classes)),
        by_class(static_cast<std::size_t>(pool.key().samples) * classes),
        of_image(static_cast<std::size_t>(pool.key().samples)) {}

  void add(std::span<const std::int32_t> claimed) {
    for (std::size_t i = 0; i < claimed.size(); ++i) {
      if (claimed[i] < 0) continue;
      ++by_class[i * classes + static_cast<std::size_t>(claimed[i])];
      ++of_image[i];
      ++total;
    }
  }
  double contradicted(std::span<const std::int32_t> claimed) const {
    std::int64_t own = 0, contradictions = 0;
    for (std::size_t i = 0; i < claimed.size(); ++i) {
      if (claimed[i] < 0) continue;
      ++own;
      contradictions += of_image[i] - by_class[i * classes + static_cast<std::size_t>(claimed[i])];
    }
    return total == own ? 0.0
                        : static_cast<double>(contradictions) / static_cast<double>(total - own);
  }

  std::size_t classes;
  std::vector<std::int32_t> by_class;  // clients claiming, [N, C]
  std::vector<std::int32_t> of_image;  // [N]
  std::int64_t total = 0;
};

}  // namespace

at::Tensor measure_contradictions(const PredictionCache& pool, const at::Tensor& mean_odds) {
  if (mean_odds.scalar_type() != at::kDouble || mean_odds.numel() != pool.clients() ||
      !mean_odds.is_contiguous()) {
    throw std::invalid_argument("[rule] mean_odds: expected one float64 for each client");
  }
  const double* odds = mean_odds.const_data_ptr<double>();
  Claims claims(pool);
  for (std::int64_t k = 0; k < pool.clients(); ++k) {
    claims.add(claimed_classes(pool, k, odds[k]));
  }
  at::Tensor out = at::zeros({pool.clients()}, at::kDouble);
  for (std::int64_t k = 0; k < pool.clients(); ++k) {
    out.mutable_data_ptr<double>()[k] = claims.contradicted(claimed_classes(pool, k, odds[k]));
  }
  return out;
}

}  // namespace fedstill
