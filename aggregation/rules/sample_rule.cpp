#include "aggregation/rules/sample_rule.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace fedstill {
namespace {

constexpr double kLowestOdds = 1e-3, kHighestOdds = 1e3;
constexpr std::int64_t kSamplesPerTask = 256;

std::vector<double> to_vector(const at::Tensor& values, std::int64_t clients, const char* what) {
  if (!values.defined() || values.dim() != 1 || values.size(0) != clients ||
      values.scalar_type() != at::kDouble) {
    throw std::invalid_argument("[rule] facts: " + std::string(what) +
                                " is not a float64 tensor of " + std::to_string(clients) +
                                " clients");
  }
  const at::Tensor dense = values.contiguous();
  const double* begin = dense.const_data_ptr<double>();
  return {begin, begin + clients};
}

void check(const PredictionBlock& block) {
  const at::Tensor &logits = block.logits, &confidences = block.confidences;
  if (!logits.defined() || !confidences.defined() || logits.dim() != 3 || confidences.dim() != 2 ||
      logits.scalar_type() != at::kFloat || confidences.scalar_type() != at::kFloat) {
    throw std::invalid_argument("[rule] expected float32 logits [K, B, C], confidences [K, B]");
  }
  if (logits.size(0) != confidences.size(0) || logits.size(1) != confidences.size(1)) {
    throw std::invalid_argument("[rule] logits and confidences differ in clients or samples");
  }
  if (logits.size(0) == 0 || logits.size(2) == 0) {
    throw std::invalid_argument("[rule] a block of " + std::to_string(logits.size(0)) +
                                " clients and " + std::to_string(logits.size(2)) +
                                " classes; expected at least one of each");
  }
}

Facts plain(const ClientFacts& facts, std::int64_t clients) {
  return {.sample_counts = to_vector(facts.sample_counts, clients, "sample_counts"),
          .mean_odds = to_vector(facts.mean_odds, clients, "mean_odds"),
          .logit_deviation = to_vector(facts.logit_deviation, clients, "logit_deviation"),
          .contradiction = to_vector(facts.contradiction, clients, "contradiction"),
          .foreign_pool = facts.foreign_pool()};
}

// Returns false, leaving the values, where they do not add up to something positive.
bool normalise(std::span<double> values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  if (!(sum > 0.0) || !std::isfinite(sum)) return false;
  for (double& value : values) value /= sum;
  return true;
}

void normalise_or_fall_back(std::span<double> weights, const Facts& facts) {
  if (normalise(weights)) return;
  std::ranges::copy(facts.sample_counts, weights.begin());
  if (normalise(weights)) return;
  std::ranges::fill(weights, 1.0 / static_cast<double>(weights.size()));
}

// Room for the opinions on one sample, reused from sample to sample.
struct Desk {
  std::vector<double> logits, probabilities, confidences, weights, labels;

  Desk(std::size_t clients, std::size_t classes)
      : logits(clients * classes),
        probabilities(clients * classes),
        confidences(clients),
        weights(clients),
        labels(classes) {}

  Opinions opinions() const {
    return {.clients = confidences.size(),
            .classes = labels.size(),
            .logits = logits,
            .probabilities = probabilities,
            .confidences = confidences};
  }

  // Takes the sample at column b of [K, B, C] and [K, B].
  void lay_out(const float* all_logits, const float* all_confidences, std::size_t b,
               std::size_t samples, double temperature) {
    const std::size_t classes = labels.size();
    for (std::size_t k = 0; k < confidences.size(); ++k) {
      const std::size_t row = k * samples + b;
      const double confidence = static_cast<double>(all_confidences[row]);
      confidences[k] = confidence > 0.0 ? std::min(confidence, 1.0) : 0.0;  // NaN is no confidence
      std::copy_n(all_logits + row * classes, classes, logits.begin() + offset(k * classes));
    }
    probabilities = logits;
    for (std::size_t k = 0; k < confidences.size(); ++k) {
      softmax({probabilities.data() + k * classes, classes}, temperature);
    }
    std::ranges::fill(labels, 0.0);
  }

 private:
  static std::ptrdiff_t offset(std::size_t index) { return static_cast<std::ptrdiff_t>(index); }
};

}  // namespace

Combined SampleRule::combine(const PredictionBlock& block) const {
  const at::NoGradGuard no_gradients;
  check(block);
  const at::Tensor logits = block.logits.contiguous(), confidences = block.confidences.contiguous();
  const auto clients = static_cast<std::size_t>(logits.size(0));
  const auto samples = static_cast<std::size_t>(logits.size(1));
  const auto classes = static_cast<std::size_t>(logits.size(2));
  const Facts facts = plain(block.facts, logits.size(0));
  const std::vector<double> weights_before = prior(facts);

  Combined out{.labels = at::empty({logits.size(1), logits.size(2)}, at::kFloat),
               .weights = at::empty({logits.size(0), logits.size(1)}, at::kFloat)};
  const float* logits_in = logits.const_data_ptr<float>();
  const float* confidences_in = confidences.const_data_ptr<float>();
  float* labels_out = out.labels.mutable_data_ptr<float>();
  float* weights_out = out.weights.mutable_data_ptr<float>();
  at::parallel_for(0, logits.size(1), kSamplesPerTask, [&](std::int64_t begin, std::int64_t end) {
    Desk desk(clients, classes);
    for (auto b = static_cast<std::size_t>(begin); b < static_cast<std::size_t>(end); ++b) {
      desk.lay_out(logits_in, confidences_in, b, samples, temperature_);
      desk.weights = weights_before;
      weigh(desk.opinions(), facts, desk.weights);
      normalise_or_fall_back(desk.weights, facts);
      mix(desk.opinions(), facts, desk.weights, desk.labels);
      for (std::size_t c = 0; c < classes; ++c) {
        labels_out[b * classes + c] = static_cast<float>(desk.labels[c]);
      }
      for (std::size_t k = 0; k < clients; ++k) {
        weights_out[k * samples + b] = static_cast<float>(desk.weights[k]);
      }
    }
  });
  return out;
}

std::vector<double> SampleRule::prior(const Facts& facts) const {
  return std::vector<double>(facts.sample_counts.size(), 1.0);
}

void SampleRule::weigh(const Opinions&, const Facts&, std::span<double>) const {}

void SampleRule::mix(const Opinions& opinions, const Facts&, std::span<const double> weights,
                     std::span<double> labels) const {
  for (std::size_t k = 0; k < opinions.clients; ++k) {
    const auto probabilities = opinions.probabilities_of(k);
    for (std::size_t c = 0; c < opinions.classes; ++c) labels[c] += weights[k] * probabilities[c];
  }
}

void softmax(std::span<double> values, double temperature) {
  const double largest = *std::ranges::max_element(values);
  for (double& value : values) value = std::exp((value - largest) / temperature);
  normalise(values);  // the sum is at least one: exp(0) is in it
}

double clamped_odds(double confidence) {
  return std::clamp(confidence / (1.0 - confidence), kLowestOdds, kHighestOdds);
}

std::vector<double> capped_shares(std::span<const double> values, double cap) {
  std::vector<double> shares(values.begin(), values.end());
  if (!normalise(shares)) return shares;
  const double limit = std::max(cap, 1.0 / static_cast<double>(shares.size()));
  std::vector<bool> capped(shares.size(), false);
  // Every pass caps at least one more, so there are at most K passes.
  for (bool again = true; again;) {
    again = false;
    double free = 1.0, rest = 0.0;
    for (std::size_t k = 0; k < shares.size(); ++k) {
      capped[k] ? free -= limit : rest += shares[k];
    }
    for (std::size_t k = 0; k < shares.size(); ++k) {
      if (!capped[k] && rest > 0.0) shares[k] *= std::max(free, 0.0) / rest;
      if (capped[k] || shares[k] <= limit) continue;
      capped[k] = again = true;
      shares[k] = limit;
    }
  }
  return shares;
}

}  // namespace fedstill
