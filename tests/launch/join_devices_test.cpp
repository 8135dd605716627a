#include "launch/ranks/join_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>

#include "collective/local/local.h"

namespace fedstill::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const at::Device kGpu{at::kCUDA, 0};

nccl::Options libraries(const std::string& cuda) {
  nccl::Options options;
  options.cuda_library = cuda;
  options.nccl_library = "libno_such_nccl.so";
  return options;
}

// What each of so many ranks says; none gets a group.
std::array<std::string, 2> said(int ranks, at::Device device, const nccl::Options& options) {
  std::array<std::ostringstream, 2> out;
  local::run_ranks(ranks, [&](Collective& distillers) {
    Progress progress(out[static_cast<std::size_t>(distillers.rank())], {});
    EXPECT_EQ(join_devices(device, distillers, progress, options), nullptr);
    distillers.barrier().wait();  // the gradients' way from now on
  });
  return {out[0].str(), out[1].str()};
}

TEST(JoinDevices, WithoutNcclGradientsGoByWayOfTheHostAndOneRankSaysSo) {
  const auto [first, second] = said(2, kGpu, libraries(FEDSTILL_STUB_CUDART));
  EXPECT_THAT(first, HasSubstr("warning: gradients go by way of the host: [nccl] "
                               "libno_such_nccl.so: cannot open"));
  EXPECT_THAT(second, IsEmpty());
}

TEST(JoinDevices, WhoHasNoneToJoinIsNotWarned) {
  const nccl::Options nowhere = libraries("libno_such_cudart.so");
  EXPECT_THAT(said(2, at::kCPU, nowhere)[0], IsEmpty());
  EXPECT_THAT(said(1, kGpu, nowhere)[0], IsEmpty());
}

}  // namespace
}  // namespace fedstill::tests
