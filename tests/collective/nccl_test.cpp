// The NCCL backend without a GPU: over a fake table, and over the real libraries where they are.
#include "collective/nccl/nccl.h"

#include <atomic>

#include "collective/local/local.h"
#include "collective/nccl/api.h"
#include "tests/collective/contract.h"
#include "tests/collective/fake_nccl.h"

namespace fedstill {
namespace {

using std::chrono_literals::operator""ms;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

void run_fake(int size, int groups, const Body& body) {
  const nccl::Api api = fake_nccl::api();
  local::run_ranks(size, [&](Collective& bootstrap) {
    std::vector<std::unique_ptr<Collective>> owned;
    for (int i = 0; i < groups; ++i) owned.push_back(nccl::make_with(bootstrap, {}, api));
    std::vector<Collective*> all;
    for (const auto& group : owned) all.push_back(group.get());
    body(all);
    bootstrap.barrier().wait();  // no rank tears down what another still needs
  });
  const fake_nccl::Counts counts = fake_nccl::counts();
  EXPECT_EQ(counts.destroyed, size * groups);
  EXPECT_EQ(counts.aborted + counts.living_events + counts.living_streams, 0);
}

std::vector<ContractGroup> fake_groups() {
  auto groups = groups_of(run_fake);
  for (ContractGroup& group : groups) group.one_order = true;
  return groups;
}

INSTANTIATE_TEST_SUITE_P(FakeNccl, CollectiveContract, testing::ValuesIn(fake_groups()),
                         group_name);

// What every rank is told when it asks for a group, by rank.
std::vector<std::string> messages(int size, const nccl::Options& options, const nccl::Api& api) {
  std::vector<std::string> found(static_cast<std::size_t>(size));
  local::run_ranks(size, [&](Collective& bootstrap) {
    found[static_cast<std::size_t>(bootstrap.rank())] =
        message_of([&] { nccl::make_with(bootstrap, options, api); });
  });
  return found;
}

TEST(Nccl, WithoutTheDeviceEveryRankIsTold) {
  const nccl::Api api = fake_nccl::api();
  fake_nccl::faults().devices = 0;
  for (const auto& message : messages(3, {}, api))
    EXPECT_EQ(message, "[nccl] found 0 devices, expected number 0");
}

TEST(Nccl, ARefusedInitIsToldToEveryRankAndLeavesNothing) {
  const nccl::Api api = fake_nccl::api();
  fake_nccl::faults().refuse_init_of_rank = 1;
  const auto found = messages(3, {}, api);
  EXPECT_EQ(found[0], "[nccl] rank 1 could not start");
  EXPECT_EQ(found[1], "[nccl] ncclCommInitRank: refused by the fake");
  EXPECT_EQ(found[2], "[nccl] rank 1 could not start");
  EXPECT_EQ(fake_nccl::counts().living_streams, 0);
}

TEST(Nccl, AnInitThatNeverCompletesIsAbortedAtItsDeadline) {
  const nccl::Api api = fake_nccl::api();
  fake_nccl::faults().init_never_completes = true;
  nccl::Options options;
  options.init_deadline = 20ms;
  for (const auto& message : messages(2, options, api))
    EXPECT_THAT(message, HasSubstr("ncclCommInitRank was not done by the deadline"));
  EXPECT_EQ(fake_nccl::counts().aborted, 2);
}

TEST(Nccl, WhoWaitsForTheOthersToComeSleeps) {
  const nccl::Api api = fake_nccl::api();
  fake_nccl::faults().init_never_completes = true;
  nccl::Options options;
  options.init_deadline = 200ms;
  messages(1, options, api);
  EXPECT_LT(fake_nccl::counts().looks, 10'000);  // 2,000 naps; who only yields looks far more often
}

TEST(Nccl, AnOperationThatNeverEndsIsAbortedByTheWatchdog) {
  const nccl::Api api = fake_nccl::api();
  nccl::Options options;
  options.deadline = 30ms;
  const auto bootstrap = std::move(local::make_group(1)[0]);
  const auto group = nccl::make_with(*bootstrap, options, api);
  fake_nccl::faults().operations_never_complete = true;
  std::vector<float> data(10);
  Pending pending = group->all_reduce(elements(data));
  EXPECT_THAT(message_of([&] { pending.wait(); }),
              HasSubstr("all_reduce(sum) of 10 float32 was not done after 30 ms"));
  EXPECT_EQ(fake_nccl::counts().aborted, 1);
  EXPECT_THROW(group->barrier(), CollectiveError) << "a failed group stays failed";
}

TEST(Nccl, AnAsynchronousErrorOfAPeerAbortsTheGroup) {
  const nccl::Api api = fake_nccl::api();
  const auto bootstrap = std::move(local::make_group(1)[0]);
  const auto group = nccl::make_with(*bootstrap, {}, api);
  fake_nccl::faults().operations_never_complete = true;
  std::vector<float> data(10);
  Pending pending = group->all_reduce(elements(data));
  fake_nccl::faults().async_error = 6;  // ncclRemoteError
  EXPECT_THAT(message_of([&] { pending.wait(); }), HasSubstr("[nccl] fake error"));
  EXPECT_EQ(fake_nccl::counts().aborted, 1);
}

TEST(Nccl, WithoutTheLibraryEveryRankIsTold) {
  nccl::Options options;
  options.cuda_library = "libno_such_cudart.so";
  EXPECT_FALSE(nccl::is_available(options));
  local::run_ranks(2, [&](Collective& bootstrap) {
    EXPECT_THAT(message_of([&] { nccl::make(bootstrap, options); }),
                HasSubstr("[nccl] libno_such_cudart.so: cannot open"));
  });
}

TEST(Nccl, TheRealLibrariesSayWhenThereIsNoDevice) {
  const nccl::Options options;
  if (nccl::is_available(options)) GTEST_SKIP() << "there is a device";
  const auto bootstrap = std::move(local::make_group(1)[0]);
  EXPECT_THAT(message_of([&] { nccl::make(*bootstrap, options); }),
              AllOf(HasSubstr("[nccl] "),
                    AnyOf(HasSubstr(".so"),                             // one of them is missing
                          HasSubstr("driver version is insufficient"),  // no driver
                          HasSubstr("no CUDA-capable device"), HasSubstr("found 0 devices"))));
}

// The last: what it loads answers to CUDA's names for the rest of the process.
TEST(Nccl, WithoutNcclItselfEveryRankIsTold) {
  nccl::Options options;
  options.cuda_library = FEDSTILL_STUB_CUDART;
  options.nccl_library = "libno_such_nccl.so";
  EXPECT_FALSE(nccl::is_available(options));
  local::run_ranks(2, [&](Collective& bootstrap) {
    EXPECT_THAT(message_of([&] { nccl::make(bootstrap, options); }),
                HasSubstr("[nccl] libno_such_nccl.so: cannot open"));
  });
}

}  // namespace
}  // namespace fedstill
