#pragma once

#include <chrono>
#include <cstdint>

namespace fedstill {

using SteadyTime = std::chrono::steady_clock::time_point;

// How much may pass now so that no more than `per_second` does in the long run. A second's worth
// may pass at once. Rate 0 is no limit. The clock is an argument.
class TokenBucket {
 public:
  TokenBucket(std::uint64_t per_second, SteadyTime now);
  std::uint64_t allowance(SteadyTime now);
  void take(std::uint64_t amount);  // may go below zero: what is owed is waited for
  // When at least a small share of a second's worth may pass again.
  std::chrono::milliseconds wait(SteadyTime now);

 private:
  void refill(SteadyTime now);
  double per_second_;
  double tokens_;
  SteadyTime filled_;
};

// Tells a peer that trickles from one that is merely slow: whether in each window of time at least
// the minimum passed. Only counts between start() and stop().
class ProgressWatch {
 public:
  ProgressWatch(std::chrono::milliseconds window, std::uint64_t min_bytes_per_second);
  void start(SteadyTime now);
  void stop() { is_running_ = false; }
  bool is_running() const { return is_running_; }
  void add(std::uint64_t bytes) { bytes_ += bytes; }
  bool is_too_slow(SteadyTime now);

 private:
  std::chrono::milliseconds window_;
  std::uint64_t min_bytes_;  // per window
  bool is_running_ = false;
  SteadyTime began_{};
  std::uint64_t bytes_ = 0;
};

}  // namespace fedstill
