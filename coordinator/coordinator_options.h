#pragma once

#include <cstdint>

#include "coordinator/round.h"
#include "coordinator/update_check.h"
#include "data/images.h"
#include "transport/round_messages.h"

namespace fedstill {

struct CoordinatorOptions {
  RoundOptions round;
  RoundPlan plan;    // as sent, with number and student put in; `round` is the first of `rounds`
  ImageShape image;  // an update must have this input…
  std::int64_t classes = 0;  // …this many logits
  std::int64_t max_sample_count = 100'000'000;
  UpdateLimits update;
  std::int64_t pool_samples = 0;  // images in the pool; 0: predictions are not taken
};

}  // namespace fedstill
