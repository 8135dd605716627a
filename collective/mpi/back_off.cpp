#include "collective/mpi/back_off.h"

#include <algorithm>
#include <thread>

namespace fedstill::mpi {
namespace {

constexpr std::chrono::milliseconds kPatience{2};  // several segments' time on one machine
constexpr std::chrono::microseconds kFirstNap{50}, kLongestNap{500};

}  // namespace

void BackOff::news() {
  last_news_ = Clock::now();
  nap_ = kFirstNap;
}

void BackOff::pause() {
  if (since_news() < kPatience) return std::this_thread::yield();
  nap_ = std::clamp(nap_ * 2, kFirstNap, kLongestNap);
  std::this_thread::sleep_for(nap_);
}

std::chrono::nanoseconds BackOff::since_news() const { return Clock::now() - last_news_; }

}  // namespace fedstill::mpi
