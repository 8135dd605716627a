#include "aggregation/soft_labels.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <string>

#include "aggregation/rules/certainty.h"

namespace fedstill {
namespace {

std::size_t size(const at::Tensor& tensor, std::int64_t dimension) {
  return static_cast<std::size_t>(tensor.size(dimension));
}

void check(const SoftLabels& soft_labels) {
  const at::Tensor &labels = soft_labels.labels, &weights = soft_labels.weights;
  if (!labels.defined() || !weights.defined() || labels.dim() != 2 || weights.dim() != 2 ||
      labels.size(0) != weights.size(1) || labels.size(1) == 0 ||
      labels.scalar_type() != at::kFloat || weights.scalar_type() != at::kFloat) {
    throw std::invalid_argument("[trust report] expected float32 labels [N, C], weights [K, N]");
  }
}

// Several clients with the same largest weight lead a part of the sample each.
void add_leaders(std::span<const double> weights, std::size_t label,
                 std::vector<std::vector<double>>& leader) {
  const double largest = std::ranges::max(weights);
  const auto leaders = static_cast<double>(std::ranges::count(weights, largest));
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (weights[k] == largest) leader[k][label] += 1.0 / leaders;
  }
}

// Sums to means; a class nobody predicted keeps its zeros.
void divide(std::vector<std::vector<double>>& sums, std::span<const double> counts) {
  for (std::vector<double>& row : sums) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (counts[c] > 0.0) row[c] /= counts[c];
    }
  }
}

}  // namespace

SoftLabels combine(const Rule& rule, const PredictionCache& cache, const ClientFacts& facts,
                   std::int64_t block) {
  if (block < 1) {
    throw std::invalid_argument("[soft labels] block " + std::to_string(block) +
                                ", expected at least 1");
  }
  if (!cache.complete()) {
    throw std::invalid_argument("[soft labels] a client's predictions are missing from the cache");
  }
  std::vector<at::Tensor> labels, weights;
  for (std::int64_t begin = 0; begin < cache.key().samples; begin += block) {
    const std::int64_t end = std::min(begin + block, cache.key().samples);
    Combined combined = rule.combine({.logits = cache.block_logits(begin, end),
                                      .confidences = cache.block_confidences(begin, end),
                                      .facts = facts});
    labels.push_back(std::move(combined.labels));
    weights.push_back(std::move(combined.weights));
  }
  return {.labels = at::cat(labels, 0), .weights = at::cat(weights, 1)};
}

TrustReport trust_report(const SoftLabels& soft_labels) {
  check(soft_labels);
  const std::size_t clients = size(soft_labels.weights, 0);
  const std::size_t samples = size(soft_labels.labels, 0), classes = size(soft_labels.labels, 1);
  const at::Tensor labels = soft_labels.labels.contiguous();
  const at::Tensor weights = soft_labels.weights.contiguous();
  const float* weight_data = weights.const_data_ptr<float>();

  TrustReport report;
  report.weight.assign(clients, std::vector<double>(classes, 0.0));
  report.leader = report.weight;
  report.total.assign(clients, 0.0);
  std::vector<double> counts(classes, 0.0), row(classes), column(clients);
  for (std::size_t i = 0; i < samples; ++i) {
    std::copy_n(labels.const_data_ptr<float>() + i * classes, classes, row.begin());
    const auto label = static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
    for (std::size_t k = 0; k < clients; ++k) {
      column[k] = static_cast<double>(weight_data[k * samples + i]);
      report.weight[k][label] += column[k];
      report.total[k] += column[k] / static_cast<double>(samples);
    }
    if (clients > 0) add_leaders(column, label, report.leader);
    counts[label] += 1.0;
    report.entropy += entropy(row) / static_cast<double>(samples);
  }
  divide(report.weight, counts);
  divide(report.leader, counts);
  return report;
}

}  // namespace fedstill
