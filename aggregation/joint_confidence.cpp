#include "aggregation/joint_confidence.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <vector>

#include "aggregation/rules/sample_rule.h"

namespace fedstill {
namespace {

std::span<const double> numbers(const at::Tensor& values) {
  return {values.const_data_ptr<double>(), static_cast<std::size_t>(values.numel())};
}

std::vector<double> shares_of(const ClientFacts& facts, double share_cap) {
  std::vector<double> shares = capped_shares(numbers(facts.sample_counts), share_cap);
  const auto contradiction = numbers(facts.contradiction);
  for (std::size_t k = 0; k < shares.size(); ++k) {
    const double agreement = 1.0 - contradiction[k];
    shares[k] *= agreement * agreement;
  }
  return capped_shares(shares, 1.0);
}

}  // namespace

at::Tensor joint_confidence(const PredictionCache& cache, const ClientFacts& facts,
                            const RuleOptions& options) {
  if (!cache.complete()) {
    throw std::invalid_argument("[joint confidence] a client's predictions are missing");
  }
  at::Tensor out = at::full({cache.key().samples}, 0.5F);
  if (facts.foreign_pool()) return out;
  const std::vector<double> shares = shares_of(facts, options.share_cap);
  const auto mean_odds = numbers(facts.mean_odds);
  std::vector<double> ratio(static_cast<std::size_t>(cache.key().samples), 0.0);
  for (std::size_t k = 0; k < shares.size(); ++k) {
    const auto said = cache.confidences(static_cast<std::int64_t>(k));
    for (std::size_t i = 0; i < ratio.size(); ++i) {
      const double odds = clamped_odds(static_cast<double>(said[i]));
      ratio[i] += shares[k] * std::min(odds / mean_odds[k], options.ratio_clip);
    }
  }
  std::ranges::transform(ratio, out.mutable_data_ptr<float>(),
                         [](double r) { return static_cast<float>(r / (1.0 + r)); });
  return out;
}

}  // namespace fedstill
