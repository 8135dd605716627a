#pragma once

#include <algorithm>

#include "coordinator/round.h"

namespace fedstill {

// The coordinator's clock: monotonic, and slow to believe a jump. It is read twice a second, so a
// larger step than kMostStep is time in which the process did not run (it was stopped, its virtual
// machine was paused): nobody could get on then, and nobody's deadline comes nearer.
class RunningClock {
 public:
  static constexpr Instant kMostStep{10'000};

  explicit RunningClock(Instant start) : last_(start), time_(start) {}
  // raw: of any monotonic clock.
  Instant read(Instant raw) {
    time_ += std::clamp(raw - last_, Instant{0}, kMostStep);
    last_ = raw;
    return time_;
  }

 private:
  Instant last_, time_;
};

}  // namespace fedstill
