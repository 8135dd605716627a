#include "training/divergence.h"

#include <ATen/ops/isfinite.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "training/fit.h"

namespace fedstill {
namespace {

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

std::string text_of(const StepTaken& at) {
  return " step " + std::to_string(at.step) + " of " + std::to_string(at.steps) +
         " with learning rate " + short_text(at.learning_rate);
}

}  // namespace

void require_finite(const char* what, double value, const StepTaken& at) {
  if (std::isfinite(value)) return;
  throw DivergedError(std::string("[fit] the ") + what + " became " + short_text(value) + " at" +
                      text_of(at));
}

void require_finite(std::span<const Executor::Parameter> parameters, const StepTaken& after) {
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.value.detach().isfinite().all().item<bool>()) continue;
    throw DivergedError("[fit] parameter " + parameter.name + " is not finite after" +
                        text_of(after));
  }
}

}  // namespace fedstill
