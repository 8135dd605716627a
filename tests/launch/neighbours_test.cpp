#include "launch/ranks/neighbours.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "collective/local/local.h"

namespace fedstill::tests {
namespace {

TEST(Neighbours, HaveTheirPlacesOnTheMachineInTheOrderOfTheRanks) {
  local::run_ranks(4, [](Collective& all) {
    const Neighbours found = find_neighbours(all);
    EXPECT_EQ(found.place, all.rank());  // of threads, which are all here
    EXPECT_EQ(found.on_my_cores, 4);
    EXPECT_TRUE(found.first_is_here);
    EXPECT_EQ(found.before, std::vector<pid_t>(static_cast<std::size_t>(all.rank()), ::getpid()));
  });
}

TEST(RanksOnDevice, AreThoseOfItsNumber) {
  constexpr std::array kIndices{0, 1, 0, 0};
  std::array<std::int64_t, 4> found{};
  local::run_ranks(4, [&](Collective& all) {
    const auto rank = static_cast<std::size_t>(all.rank());
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(kIndices[rank]));
    found[rank] = ranks_on_device(all, device);
  });
  EXPECT_EQ(found, (std::array<std::int64_t, 4>{3, 1, 3, 3}));
}

TEST(RanksOnDevice, TheHostIsNotShared) {
  local::run_ranks(2, [](Collective& all) { EXPECT_EQ(ranks_on_device(all, at::kCPU), 1); });
}

}  // namespace
}  // namespace fedstill::tests
