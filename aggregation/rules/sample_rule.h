#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aggregation/rule.h"

namespace fedstill {

// What every client says of one sample, client by client.
struct Opinions {
  std::size_t clients = 0, classes = 0;
  std::span<const double> logits;         // K × C
  std::span<const double> probabilities;  // K × C, softmax(logits / temperature)
  std::span<const double> confidences;    // K, in [0, 1]

  std::span<const double> logits_of(std::size_t k) const {
    return logits.subspan(k * classes, classes);
  }
  std::span<const double> probabilities_of(std::size_t k) const {
    return probabilities.subspan(k * classes, classes);
  }
};

// ClientFacts as plain numbers.
struct Facts {
  std::vector<double> sample_counts, mean_odds, logit_deviation, contradiction;
  bool foreign_pool = false;
};

// A rule that decides sample by sample. Everything is computed in double precision, one sample at a
// time and in the order of the clients, so a label is the same bits whatever else is in its block.
class SampleRule : public Rule {
 public:
  explicit SampleRule(double temperature) : temperature_(temperature) {}
  Combined combine(const PredictionBlock& block) const final;

 protected:
  // Weights before any sample is seen, [K]; any scale. One each unless overridden.
  virtual std::vector<double> prior(const Facts& facts) const;
  // Takes the prior and leaves the weights on this sample: the prior times what the sample says, or
  // something in its place; any scale, non-negative.
  virtual void weigh(const Opinions& opinions, const Facts& facts, std::span<double> weights) const;
  // Σ_k w_k p_k unless overridden. Weights sum to one; labels come zeroed.
  virtual void mix(const Opinions& opinions, const Facts& facts, std::span<const double> weights,
                   std::span<double> labels) const;

 private:
  double temperature_;
};

// softmax(values / temperature) in place; safe for any finite values.
void softmax(std::span<double> values, double temperature);

// r = h / (1 − h), clamped to [1e-3, 1e3].
double clamped_odds(double confidence);

// Scales to a sum of one with no value above cap (or 1/K where cap is smaller): what is cut off the
// large ones goes to the others in proportion. All zeros stay zeros.
std::vector<double> capped_shares(std::span<const double> values, double cap);

}  // namespace fedstill
