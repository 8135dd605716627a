#include "distillation/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "training/losses.h"

namespace fedstill {
namespace {

// log q is cut off here for logit-distance: a class the teachers rule out would count infinitely.
constexpr double kSmallestProbability = 1e-6;

// The student's logits in float32, held against the targets.
at::Tensor student_logits(std::span<const at::Tensor> outputs, const at::Tensor& targets) {
  if (outputs.empty() || outputs[0].dim() != 2 || outputs[0].sizes() != targets.sizes()) {
    throw std::invalid_argument(
        "[distillation loss] expected student logits and soft labels of one shape [B, C]");
  }
  return outputs[0].to(at::kFloat);
}

at::Tensor centred(const at::Tensor& values) { return values - values.mean({1}, true); }

struct NamedLoss {
  std::string_view name;
  Loss (*make)(double temperature);
};

constexpr auto kLosses = std::to_array<NamedLoss>({
    {"kl", [](double temperature) { return kl_divergence(temperature); }},
    {"hard-label", [](double) { return hard_label(); }},
    {"logit-distance", [](double) { return logit_distance(); }},
});

}  // namespace

Loss kl_divergence(double temperature) {
  if (!(temperature > 0.0) || !std::isfinite(temperature)) {
    throw std::invalid_argument("[distillation loss] temperature " + std::to_string(temperature) +
                                ", expected a positive number");
  }
  return [temperature](std::span<const at::Tensor> outputs, const at::Tensor& targets) {
    const at::Tensor rows = divergence(student_logits(outputs, targets), targets, temperature);
    return rows.mean() * (temperature * temperature);
  };
}

Loss hard_label() {
  return [](std::span<const at::Tensor> outputs, const at::Tensor& targets) {
    return at::cross_entropy_loss(student_logits(outputs, targets), at::argmax(targets, 1));
  };
}

Loss logit_distance() {
  return [](std::span<const at::Tensor> outputs, const at::Tensor& targets) {
    const at::Tensor wanted = targets.clamp_min(kSmallestProbability).log();
    const at::Tensor difference = centred(student_logits(outputs, targets)) - centred(wanted);
    return difference.square().mean();
  };
}

std::vector<std::string_view> distillation_loss_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kLosses));
  for (const NamedLoss& loss : kLosses) names.push_back(loss.name);
  return names;
}

Loss make_distillation_loss(std::string_view name, double temperature) {
  std::string known;
  for (const NamedLoss& loss : kLosses) {
    if (loss.name == name) return loss.make(temperature);
    known += (known.empty() ? "" : ", ") + std::string(loss.name);
  }
  throw std::invalid_argument("[distillation loss] unknown loss '" + std::string(name) +
                              "', expected one of: " + known);
}

}  // namespace fedstill
