#include "aggregation/rule.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "aggregation/contradiction.h"
#include "aggregation/rules/averages.h"
#include "aggregation/rules/bounded_odds.h"
#include "aggregation/rules/certainty.h"
#include "aggregation/rules/dlad.h"

namespace fedstill {
namespace {

constexpr double kForeignMeanConfidence = 0.05;  // below, for every client…
constexpr double kForeignClaimed = 0.5;          // …and below, for the best client per image

double mean(std::span<const float> values) {
  double sum = 0.0;
  for (const float value : values) sum += static_cast<double>(value);
  return sum / static_cast<double>(values.size());
}

double mean_odds(std::span<const float> confidences) {
  double sum = 0.0;
  for (const float h : confidences) sum += clamped_odds(static_cast<double>(h));
  return sum / static_cast<double>(confidences.size());
}

double deviation(std::span<const float> values) {
  const double centre = mean(values);
  double sum = 0.0;
  for (const float value : values) {
    const double distance = static_cast<double>(value) - centre;
    sum += distance * distance;
  }
  return std::sqrt(sum / static_cast<double>(values.size()));
}

double mean_of_largest_confidence(const PredictionCache& pool) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < pool.key().samples; ++i) {
    float largest = 0.0F;
    for (std::int64_t k = 0; k < pool.clients(); ++k) {
      largest = std::max(largest, pool.confidences(k)[static_cast<std::size_t>(i)]);
    }
    sum += static_cast<double>(largest);
  }
  return sum / static_cast<double>(pool.key().samples);
}

void require_positive(double value, const char* what) {
  if (!(value > 0.0) || !std::isfinite(value)) {
    throw std::invalid_argument("[rule] " + std::string(what) + " " + std::to_string(value) +
                                ", expected a positive number");
  }
}

void check(const RuleOptions& options) {
  require_positive(options.temperature, "temperature");
  require_positive(options.softmax_temperature, "softmax_temperature");
  require_positive(options.entropy_scale, "entropy_scale");
  require_positive(options.ratio_clip, "ratio_clip");
  require_positive(options.share_cap, "share_cap");
}

struct NamedRule {
  std::string_view name;
  std::unique_ptr<Rule> (*make)(const RuleOptions& options);
};

constexpr auto kRules = std::to_array<NamedRule>({
    {"mean-prob",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<MeanProbability>(o.temperature);
     }},
    {"mean-logit",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<MeanLogit>(o.temperature);
     }},
    {"mean-logit-standardised",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<StandardisedMeanLogit>(o.temperature);
     }},
    {"size",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<SizeWeighted>(o.temperature);
     }},
    {"max-prob",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<MaxProbability>(o.temperature);
     }},
    {"entropy",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<EntropyWeighted>(o.temperature, o.entropy_scale);
     }},
    {"dlad-softmax",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<ConfidenceSoftmax>(o.temperature, o.softmax_temperature);
     }},
    {"dlad-ratio",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<ConfidenceRatio>(o.temperature);
     }},
    {"dlad-odds",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<ConfidenceOdds>(o.temperature);
     }},
    {"bounded-odds",
     [](const RuleOptions& o) -> std::unique_ptr<Rule> {
       return std::make_unique<BoundedOdds>(o.temperature, o.ratio_clip, o.share_cap);
     }},
});

}  // namespace

bool ClientFacts::foreign_pool() const {
  if (!mean_confidence.defined() || mean_confidence.numel() == 0) return false;
  const at::Tensor dense = mean_confidence.contiguous();
  const std::span values(dense.const_data_ptr<double>(), static_cast<std::size_t>(dense.numel()));
  return std::ranges::max(values) < kForeignMeanConfidence && claimed < kForeignClaimed;
}

ClientFacts ClientFacts::of(const std::vector<std::int64_t>& clients) const {
  at::Tensor rows = at::empty({static_cast<std::int64_t>(clients.size())}, at::kLong);
  std::ranges::copy(clients, rows.mutable_data_ptr<std::int64_t>());
  const auto chosen = [&](const at::Tensor& all) { return at::index_select(all, 0, rows); };
  return {chosen(sample_counts),   chosen(mean_odds),     chosen(mean_confidence),
          chosen(logit_deviation), chosen(contradiction), claimed};
}

ClientFacts measure_clients(const PredictionCache& pool) {
  if (!pool.complete()) {
    throw std::invalid_argument("[rule] the predictions of a client are missing from the cache");
  }
  ClientFacts facts{.sample_counts = at::empty({pool.clients()}, at::kDouble),
                    .mean_odds = at::empty({pool.clients()}, at::kDouble),
                    .mean_confidence = at::empty({pool.clients()}, at::kDouble),
                    .logit_deviation = at::empty({pool.clients()}, at::kDouble),
                    .contradiction = {},
                    .claimed = mean_of_largest_confidence(pool)};
  for (std::int64_t k = 0; k < pool.clients(); ++k) {
    const auto at = static_cast<std::size_t>(k);
    facts.sample_counts.mutable_data_ptr<double>()[at] =
        static_cast<double>(pool.key().sample_counts[at]);
    facts.mean_odds.mutable_data_ptr<double>()[at] = mean_odds(pool.confidences(k));
    facts.mean_confidence.mutable_data_ptr<double>()[at] = mean(pool.confidences(k));
    facts.logit_deviation.mutable_data_ptr<double>()[at] = deviation(pool.logits(k));
  }
  facts.contradiction = measure_contradictions(pool, facts.mean_odds);
  return facts;
}

std::vector<std::string_view> rule_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kRules));
  for (const NamedRule& rule : kRules) names.push_back(rule.name);
  return names;
}

std::unique_ptr<Rule> make_rule(std::string_view name, const RuleOptions& options) {
  check(options);
  std::string known;
  for (const NamedRule& rule : kRules) {
    if (rule.name == name) return rule.make(options);
    known += (known.empty() ? "" : ", ") + std::string(rule.name);
  }
  throw std::invalid_argument("[rule] unknown rule '" + std::string(name) +
                              "', expected one of: " + known);
}

}  // namespace fedstill
