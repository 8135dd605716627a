#include "collective/mpi/back_off.h"

#include <algorithm>
#include <thread>

namespace fedstill::mpi {
namespace {

constexpr std::chrono::microseconds kSpin{50};     // a small message's time; a yield can cost more
constexpr std::chrono::milliseconds kPatience{4};  // ranks that work alike come within it
constexpr std::chrono::nanoseconds kLongestNap = std::chrono::milliseconds(2);

}  // namespace

void BackOff::news() { last_news_ = time_.look(); }

void BackOff::pause() {
  const auto waited = since_news();
  if (waited < kSpin) return;
  if (waited < kPatience) return std::this_thread::yield();
  std::this_thread::sleep_for(std::min(waited / 20, kLongestNap));
}

std::chrono::nanoseconds BackOff::since_news() { return time_.look() - last_news_; }

}  // namespace fedstill::mpi
