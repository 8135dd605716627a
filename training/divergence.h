#pragma once

#include <cstdint>
#include <span>

#include "training/executor.h"

namespace fedstill {

// The step of a fit that is looked at, for the message.
struct StepTaken {
  std::int64_t step = 0, steps = 0;  // from 1, of so many
  double learning_rate = 0.0;
};

// Both throw DivergedError (training/fit.h) where something is NaN or infinite.
void require_finite(const char* what, double value, const StepTaken& at);
// Of parameters: the loss that the last update leads to is not known yet, so its result is looked
// at instead.
void require_finite(std::span<const Executor::Parameter> parameters, const StepTaken& after);

}  // namespace fedstill
