#pragma once

#include <algorithm>
#include <chrono>

namespace fedstill {

// Time for deadlines, as one sees it who looks often: what passes between two looks counts for
// kLongest at most. So a process that was stopped with its peers (SIGSTOP, scontrol suspend) finds
// nobody overdue when it goes on. One thread at a time.
class WakingTime {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kLongest{1};

  explicit WakingTime(Clock::time_point now = Clock::now()) : last_look_(now) {}

  Clock::duration look(Clock::time_point now = Clock::now()) {  // since the beginning
    elapsed_ += std::min<Clock::duration>(now - last_look_, kLongest);
    last_look_ = now;
    return elapsed_;
  }

 private:
  Clock::time_point last_look_;
  Clock::duration elapsed_{0};
};

}  // namespace fedstill
