#include "launch/sites/running_clock.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

TEST(RunningClock, GoesAsTheOtherDoes) {
  RunningClock clock{Instant{5'000}};
  EXPECT_EQ(clock.read(Instant{5'500}), Instant{5'500});
  EXPECT_EQ(clock.read(Instant{5'500}), Instant{5'500});
  EXPECT_EQ(clock.read(Instant{15'500}), Instant{15'500});
}

TEST(RunningClock, StandsStillWhereTheOtherGoesBackAndGoesOnFromThere) {
  RunningClock clock{Instant{5'000}};
  EXPECT_EQ(clock.read(Instant{1'000}), Instant{5'000});
  EXPECT_EQ(clock.read(Instant{1'500}), Instant{5'500});
}

// A coordinator that was stopped for an hour, or whose machine was: when it goes on, the deadline
// is not over, and its clients have their time to come back.
TEST(RunningClock, TimeInWhichNobodyRanIsNobodysDeadline) {
  RoundOptions options;
  options.expected_clients = options.min_clients = 2;
  options.deadline = minutes{30};
  options.stalled_after = minutes{10};
  RunningClock clock{Instant{0}};
  Round round(1, options, Instant{0});
  Instant raw{0};
  round.join("a", clock.read(raw += milliseconds{500}));
  round.tick(clock.read(raw += hours{1}));
  EXPECT_EQ(round.state(), Round::State::kCollecting);
  EXPECT_GT(round.deadline() - clock.read(raw), minutes{29});
  while (raw < hours{2}) round.tick(clock.read(raw += milliseconds{500}));
  EXPECT_EQ(round.state(), Round::State::kFailed);  // time that did pass counts
}

}  // namespace
}  // namespace fedstill
