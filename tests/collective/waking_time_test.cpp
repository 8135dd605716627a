#include "collective/waking_time.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

TEST(WakingTime, IsTheClocksForWhoLooksOften) {
  WakingTime::Clock::time_point now{};
  WakingTime time(now);
  for (int i = 0; i < 100; ++i) time.look(now += 20ms);
  EXPECT_EQ(time.look(now), 2000ms);
}

TEST(WakingTime, WhoWasStoppedFindsLittleGone) {
  WakingTime::Clock::time_point now{};
  WakingTime time(now);
  time.look(now += 20ms);
  EXPECT_EQ(time.look(now += 48h), 20ms + WakingTime::kLongest);
  EXPECT_EQ(time.look(now += 30ms), 50ms + WakingTime::kLongest);
}

}  // namespace
}  // namespace fedstill
