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

using Ranks = std::array<std::int64_t, 4>;

// Found by each of four ranks on devices of such numbers and names.
Ranks sharing(const std::array<int, 4>& numbers, const std::array<std::string, 4>& uuids) {
  Ranks found{};
  local::run_ranks(4, [&](Collective& all) {
    const auto rank = static_cast<std::size_t>(all.rank());
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(numbers[rank]));
    found[rank] = ranks_on_device(all, device, uuids[rank]);
  });
  return found;
}

TEST(RanksOnDevice, AreThoseOfItsNumberWhereItHasNoName) {
  EXPECT_EQ(sharing({0, 1, 0, 0}, {}), (Ranks{3, 1, 3, 3}));
}

// As of Slurm's --gpus-per-task=1: every task has a GPU number 0 of its own.
TEST(RanksOnDevice, AreThoseOfItsNameWhateverItsNumber) {
  EXPECT_EQ(sharing({0, 0, 0, 0}, {"a", "b", "c", "d"}), (Ranks{1, 1, 1, 1}));
  EXPECT_EQ(sharing({0, 1, 0, 2}, {"a", "a", "b", "a"}), (Ranks{3, 3, 1, 3}));
}

TEST(RanksOnDevice, TheHostIsNotShared) {
  local::run_ranks(2, [](Collective& all) { EXPECT_EQ(ranks_on_device(all, at::kCPU, ""), 1); });
}

}  // namespace
}  // namespace fedstill::tests
