#include "transport/tls/pacing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fedstill {

TokenBucket::TokenBucket(std::uint64_t per_second, SteadyTime now)
    : per_second_(static_cast<double>(per_second)), tokens_(per_second_), filled_(now) {}

void TokenBucket::refill(SteadyTime now) {
  const std::chrono::duration<double> passed = now - filled_;
  filled_ = now;
  tokens_ = std::min(per_second_, tokens_ + std::max(0.0, passed.count()) * per_second_);
}

std::uint64_t TokenBucket::allowance(SteadyTime now) {
  if (per_second_ == 0) return std::numeric_limits<std::uint64_t>::max();
  refill(now);
  return tokens_ < 1 ? 0 : static_cast<std::uint64_t>(tokens_);
}

void TokenBucket::take(std::uint64_t amount) {
  if (per_second_ > 0) tokens_ -= static_cast<double>(amount);
}

std::chrono::milliseconds TokenBucket::wait(SteadyTime now) {
  if (per_second_ == 0) return std::chrono::milliseconds{0};
  refill(now);
  const double wanted = std::max(1.0, per_second_ / 100);  // not a timer for every byte
  const double seconds = std::max(0.0, wanted - tokens_) / per_second_;
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil(seconds * 1000))};
}

ProgressWatch::ProgressWatch(std::chrono::milliseconds window, std::uint64_t min_bytes_per_second)
    : window_(window),
      min_bytes_(std::max<std::uint64_t>(
          1, min_bytes_per_second * static_cast<std::uint64_t>(window.count()) / 1000)) {}

void ProgressWatch::start(SteadyTime now) {
  is_running_ = true;
  began_ = now;
  bytes_ = 0;
}

bool ProgressWatch::is_too_slow(SteadyTime now) {
  if (!is_running_ || now - began_ < window_) return false;
  if (bytes_ < min_bytes_) return true;
  start(now);
  return false;
}

}  // namespace fedstill
