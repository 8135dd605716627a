#include "launch/stages/client_plan.h"

#include <gtest/gtest.h>

namespace fedstill::tests {
namespace {

TEST(DeviceBudget, IsWhatWasAskedFor) {
  EXPECT_EQ(device_budget(700, {.free = 400, .total = 800}, 2), 700);
}

TEST(DeviceBudget, IsThreeQuartersOfWhatIsFreeOrOfTheRanksPart) {
  EXPECT_EQ(device_budget(0, {.free = 400, .total = 800}, 1), 300);
  EXPECT_EQ(device_budget(0, {.free = 800, .total = 800}, 4), 150);
  EXPECT_EQ(device_budget(0, {.free = 100, .total = 800}, 4), 75);
}

}  // namespace
}  // namespace fedstill::tests
