#include "training/divergence.h"

#include <ATen/ops/isfinite.h>

#include <cmath>
#include <string>

#include "training/fit.h"
#include "training/fit_identity.h"

namespace fedstill {

void require_finite(const char* what, double value, const StepTaken& at) {
  if (std::isfinite(value)) return;
  throw DivergedError(std::string("[fit] the ") + what + " became " + to_text(value) + " at step " +
                      std::to_string(at.step) + " of " + std::to_string(at.steps) +
                      " with learning rate " + to_text(at.learning_rate));
}

void require_finite(std::span<const Executor::Parameter> parameters, const StepTaken& after) {
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.value.detach().isfinite().all().item<bool>()) continue;
    throw DivergedError("[fit] parameter " + parameter.name + " is not finite after step " +
                        std::to_string(after.step) + " of " + std::to_string(after.steps) +
                        " with learning rate " + to_text(after.learning_rate));
  }
}

}  // namespace fedstill
