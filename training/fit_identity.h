#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "training/checkpoint.h"
#include "training/fit.h"

namespace fedstill {

// What makes a fit this one and no other, as its checkpoint remembers it: all that the next step
// depends on but the data and the loss.
std::vector<Checkpoint::Fact> fit_identity(const FitOptions& options, std::int64_t epochs,
                                           std::int64_t steps_per_epoch, Executor& executor);

std::string to_text(double value);        // with every digit
Tensor to_rows(const at::Tensor& value);  // the same float32 values, row by row

}  // namespace fedstill
