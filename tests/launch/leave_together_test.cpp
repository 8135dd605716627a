#include "launch/ranks/leave_together.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "collective/local/local.h"

namespace fedstill::tests {
namespace {

Frame chunk() {
  return {BlobChunk{std::string(64, 'a'), 0}, std::vector<std::byte>(std::size_t{1} << 20)};
}

// Two ranks as mpi::open_channels() connects them.
std::array<mpi::Channels, 2> two_ranks() {
  std::array<mpi::Channels, 2> ranks;
  for (mpi::Channels& rank : ranks) {
    auto [to_first, to_rank] = make_in_process_channel();
    rank.to_first = std::move(to_first);
    ranks[0].to_ranks.push_back(std::move(to_rank));
  }
  return ranks;
}

TEST(LeaveTogether, WhoIsSendingIsNotKeptFromLeaving) {
  constexpr std::chrono::seconds kGrace{10};
  const auto channels = two_ranks();
  const auto send_much = [&] {  // more than is taken unasked
    for (int i = 0; i < 100; ++i) channels[1].to_first->send(chunk());
  };
  local::run_ranks(2, [&](Collective& leaving) {
    const auto rank = static_cast<std::size_t>(leaving.rank());
    const auto begun = std::chrono::steady_clock::now();
    if (rank == 1) {
      EXPECT_NO_THROW(send_much());
    }
    leave_together(leaving, channels[rank], kGrace);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, kGrace);
    if (rank == 0) channels[0].to_ranks[1]->close();
  });
}

TEST(LeaveTogether, WhoDoesNotComeIsNotWaitedForLong) {
  const auto channels = two_ranks();
  const auto leaving = local::make_group(2);
  channels[1].to_first->close();  // nor is it an error that it is gone
  leave_together(*leaving[0], channels[0], std::chrono::milliseconds(20));
}

}  // namespace
}  // namespace fedstill::tests
