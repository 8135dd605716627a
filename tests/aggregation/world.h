#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "aggregation/rule.h"
#include "model/random.h"
#include "tests/support/fill_uniform.h"

namespace fedstill {

// Predictions of a few made-up clients, as plain numbers, with everything a naive reference needs.
struct World {
  std::size_t clients = 0, samples = 0, classes = 0;
  std::vector<float> logits;         // K × N × C
  std::vector<float> confidences;    // K × N
  std::vector<std::int64_t> counts;  // n_k

  double logit(std::size_t k, std::size_t i, std::size_t c) const {
    return static_cast<double>(logits[(k * samples + i) * classes + c]);
  }
  double confidence(std::size_t k, std::size_t i) const {
    return static_cast<double>(confidences[k * samples + i]);
  }
  double odds(std::size_t k, std::size_t i) const {
    const double h = confidence(k, i);
    if (h >= 1.0) return 1e3;
    return std::min(1e3, std::max(1e-3, h / (1.0 - h)));
  }
  double mean_odds(std::size_t k) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < samples; ++i) sum += odds(k, i);
    return sum / static_cast<double>(samples);
  }
  bool claims(std::size_t k, std::size_t i) const { return odds(k, i) >= 0.5 * mean_odds(k); }
  std::size_t top(std::size_t k, std::size_t i) const {
    std::size_t best = 0;
    for (std::size_t c = 1; c < classes; ++c) best = logit(k, i, c) > logit(k, i, best) ? c : best;
    return best;
  }
  double contradiction(std::size_t k) const {
    double claimed = 0.0, contradicted = 0.0;
    for (std::size_t j = 0; j < clients; ++j) {
      for (std::size_t i = 0; j != k && i < samples; ++i) {
        if (!claims(j, i)) continue;
        ++claimed;
        if (claims(k, i) && top(k, i) != top(j, i)) ++contradicted;
      }
    }
    return claimed > 0.0 ? contradicted / claimed : 0.0;
  }
  double trust(std::size_t k) const { return (1.0 - contradiction(k)) * (1.0 - contradiction(k)); }
  std::vector<double> softmax(std::size_t k, std::size_t i, double temperature = 1.0) const {
    std::vector<double> p(classes);
    double largest = logit(k, i, 0), sum = 0.0;
    for (std::size_t c = 0; c < classes; ++c) largest = std::max(largest, logit(k, i, c));
    for (std::size_t c = 0; c < classes; ++c) {
      sum += p[c] = std::exp((logit(k, i, c) - largest) / temperature);
    }
    for (double& value : p) value /= sum;
    return p;
  }
};

inline World make_world(std::size_t clients, std::size_t samples, std::size_t classes,
                        std::uint64_t seed) {
  World world{.clients = clients,
              .samples = samples,
              .classes = classes,
              .logits = std::vector<float>(clients * samples * classes),
              .confidences = std::vector<float>(clients * samples),
              .counts = {}};
  fill_normal(world.logits, derive_key(seed, 1), 3.0F);
  tests::fill_uniform(world.confidences, derive_key(seed, 2), 0.02F, 0.98F);
  for (std::size_t k = 0; k < clients; ++k) {
    world.counts.push_back(
        static_cast<std::int64_t>(50 + random_below(derive_key(seed, 3), k, 900)));
  }
  return world;
}

inline at::Tensor tensor_of(std::span<const float> values, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kFloat);
  std::ranges::copy(values, out.mutable_data_ptr<float>());
  return out;
}

inline at::Tensor tensor_of_doubles(std::span<const double> values) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kDouble);
  std::ranges::copy(values, out.mutable_data_ptr<double>());
  return out;
}

inline at::Tensor logits_of(const World& w) {
  return tensor_of(w.logits,
                   {static_cast<std::int64_t>(w.clients), static_cast<std::int64_t>(w.samples),
                    static_cast<std::int64_t>(w.classes)});
}
inline at::Tensor confidences_of(const World& w) {
  return tensor_of(w.confidences,
                   {static_cast<std::int64_t>(w.clients), static_cast<std::int64_t>(w.samples)});
}

// The facts by definition, apart from the code under test.
inline ClientFacts facts_of(const World& w) {
  std::vector<double> counts, odds, confidence, deviation;
  for (std::size_t k = 0; k < w.clients; ++k) {
    double sum = 0.0, squares = 0.0, own = 0.0;
    for (std::size_t i = 0; i < w.samples; ++i) {
      own += w.confidence(k, i);
      for (std::size_t c = 0; c < w.classes; ++c) sum += w.logit(k, i, c);
    }
    const auto cells = static_cast<double>(w.samples * w.classes);
    for (std::size_t i = 0; i < w.samples; ++i) {
      for (std::size_t c = 0; c < w.classes; ++c) {
        squares += std::pow(w.logit(k, i, c) - sum / cells, 2.0);
      }
    }
    counts.push_back(static_cast<double>(w.counts[k]));
    odds.push_back(w.mean_odds(k));
    confidence.push_back(own / static_cast<double>(w.samples));
    deviation.push_back(std::sqrt(squares / cells));
  }
  double claimed = 0.0;
  for (std::size_t i = 0; i < w.samples; ++i) {
    double largest = 0.0;
    for (std::size_t k = 0; k < w.clients; ++k) largest = std::max(largest, w.confidence(k, i));
    claimed += largest / static_cast<double>(w.samples);
  }
  std::vector<double> contradiction;
  for (std::size_t k = 0; k < w.clients; ++k) contradiction.push_back(w.contradiction(k));
  return {.sample_counts = tensor_of_doubles(counts),
          .mean_odds = tensor_of_doubles(odds),
          .mean_confidence = tensor_of_doubles(confidence),
          .logit_deviation = tensor_of_doubles(deviation),
          .contradiction = tensor_of_doubles(contradiction),
          .claimed = claimed};
}

inline Combined combine_world(const Rule& rule, const World& world, const ClientFacts& facts) {
  return rule.combine(
      {.logits = logits_of(world), .confidences = confidences_of(world), .facts = facts});
}
inline Combined combine_world(const Rule& rule, const World& world) {
  return combine_world(rule, world, facts_of(world));
}

inline double label(const Combined& out, std::size_t i, std::size_t c) {
  const at::Tensor dense = out.labels.contiguous();
  return static_cast<double>(
      dense.const_data_ptr<float>()[i * static_cast<std::size_t>(dense.size(1)) + c]);
}
inline double weight(const Combined& out, std::size_t k, std::size_t i) {
  const at::Tensor dense = out.weights.contiguous();
  return static_cast<double>(
      dense.const_data_ptr<float>()[k * static_cast<std::size_t>(dense.size(1)) + i]);
}

inline CacheKey key_of(const World& w) {
  CacheKey key;
  key.images = "images";
  for (std::size_t k = 0; k < w.clients; ++k) key.models.push_back("model-" + std::to_string(k));
  key.sample_counts = w.counts;
  key.samples = static_cast<std::int64_t>(w.samples);
  key.classes = static_cast<std::int64_t>(w.classes);
  return key;
}

inline void write_world(PredictionCache& cache, const World& w) {
  const at::Tensor logits = logits_of(w), confidences = confidences_of(w);
  for (std::size_t k = 0; k < w.clients; ++k) {
    const auto client = static_cast<std::int64_t>(k);
    cache.write(client, logits[client], confidences[client]);
  }
}

// Holds a rule whose labels are Σ_k w_k softmax(z_k / T) against weights given client by client.
using NaiveWeight = std::function<double(const World&, std::size_t client, std::size_t sample)>;
void expect_weights(const Rule& rule, const World& world, const NaiveWeight& naive,
                    double temperature = 1.0);

}  // namespace fedstill
