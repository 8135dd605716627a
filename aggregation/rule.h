#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string_view>
#include <vector>

#include "aggregation/prediction_cache.h"

namespace fedstill {

// What a rule may know of the clients beyond the block: measured once over the pool's cache, and
// used for any images later.
struct ClientFacts {
  at::Tensor sample_counts;  // [K] float64, n_k
  at::Tensor mean_odds;      // [K] float64, mean over the pool of r_k = h_k / (1 − h_k), with h_k
                             // clamped so that r_k is in [1e-3, 1e3]
  at::Tensor mean_confidence;  // [K] float64, mean of h_k over the pool
  at::Tensor logit_deviation;  // [K] float64, standard deviation of all logits over the pool
  at::Tensor contradiction;    // [K] float64, measure_contradictions()
  double claimed = 0.0;        // mean over the pool of max_k h_k: does anybody know these images?

  // The pool is from another domain: every head calls nearly all of it foreign (mean h below 0.05)
  // and hardly an image is claimed by anybody. Then ratios of odds mean nothing. The second
  // condition keeps many narrow specialists, who each know a small part, from looking the same.
  bool foreign_pool() const;
  // The facts of some of the clients, in this order; `claimed` stays that of all.
  ClientFacts of(const std::vector<std::int64_t>& clients) const;
};
// Throws std::invalid_argument if a client's part of the cache is missing.
ClientFacts measure_clients(const PredictionCache& pool);

// Predictions of all clients on some images. Requires: finite logits, as teacher_pass writes them.
struct PredictionBlock {
  at::Tensor logits;       // [K, B, C] float32
  at::Tensor confidences;  // [K, B] float32 in [0, 1]
  const ClientFacts& facts;
};

struct Combined {
  at::Tensor labels;   // [B, C] float32, rows sum to one
  at::Tensor weights;  // [K, B] float32, columns sum to one
};

struct RuleOptions {
  double temperature = 1.0;          // of the teachers' softmax
  double softmax_temperature = 1.0;  // dlad-softmax: of the confidences
  double entropy_scale = 0.5;        // entropy: exp(−H / scale)
  double ratio_clip = 5.0;           // bounded-odds
  double share_cap = 0.5;            // bounded-odds: n_k counts at most this share of the sum
};

// Turns the predictions of many teachers into one soft label per sample. The result does not depend
// on the block size or on the order of the clients. Throws std::invalid_argument if the block has
// no clients.
// Where a sample leaves every weight at zero the sample counts decide.
class Rule {
 public:
  virtual ~Rule() = default;
  virtual Combined combine(const PredictionBlock& block) const = 0;
};

// mean-prob, mean-logit, mean-logit-standardised, size, max-prob, entropy, dlad-softmax,
// dlad-ratio, dlad-odds, bounded-odds (docs/rules.md says which is for what).
std::vector<std::string_view> rule_names();
std::unique_ptr<Rule> make_rule(
    std::string_view name, const RuleOptions& options = {});  // unknown names list the known ones

}  // namespace fedstill
