#include "collective/local/local.h"

#include "tests/collective/contract.h"

namespace fedstill {
namespace {

using std::chrono_literals::operator""ms;

void run_threads(int size, int groups, const Body& body) {
  std::vector<std::vector<std::unique_ptr<Collective>>> others;
  for (int i = 1; i < groups; ++i) others.push_back(local::make_group(size));
  local::run_ranks(size, [&](Collective& group) {
    std::vector<Collective*> all{&group};
    for (const auto& other : others)
      all.push_back(other[static_cast<std::size_t>(group.rank())].get());
    body(all);
  });
}

INSTANTIATE_TEST_SUITE_P(Local, CollectiveContract, testing::ValuesIn(groups_of(run_threads)),
                         group_name);

TEST(Local, RefusesAGroupOfNobody) {
  EXPECT_THROW(local::make_group(0), std::invalid_argument);
  EXPECT_THROW(local::make_group(-1), std::invalid_argument);
}

TEST(Local, AGroupOfOneDoesNothing) {
  const auto alone = local::make_group(1);
  std::vector<Bfloat16> data{{0xff81}, {0x7f81}};  // NaNs that arithmetic would change
  alone[0]->all_reduce(elements(data)).wait();
  alone[0]->barrier().wait();
  EXPECT_EQ(data[0].bits, 0xff81);
  EXPECT_EQ(data[1].bits, 0x7f81);
}

TEST(Local, AThreadThatThrowsEndsTheOthersAndIsTheOneReported) {
  std::atomic<int> told = 0;
  const auto job = [&](Collective& group) {
    std::vector<float> data(1000);
    group.all_reduce(elements(data)).wait();
    if (group.rank() == 2) throw std::domain_error("rank 2 has had enough");
    const std::string message = message_of([&] { group.all_reduce(elements(data)).wait(); });
    EXPECT_THAT(message, testing::HasSubstr("[local] rank 2 has left before operation 1"));
    EXPECT_THROW(group.barrier(), CollectiveError) << "a failed group stays failed";
    ++told;
  };
  EXPECT_THROW(local::run_ranks(4, job), std::domain_error);
  EXPECT_EQ(told, 3);
}

TEST(Local, ARankThatLeavesAfterItsPartDoesNoHarm) {
  auto group = local::make_group(2);
  std::vector<float> a{1}, b{2};
  Pending mine = group[0]->all_reduce(elements(a));
  group[1]->all_reduce(elements(b)).wait();
  group[1].reset();
  mine.wait();
  EXPECT_EQ(a[0], 3.0F);
}

TEST(Local, ADroppedHandleGivesUpTheGroup) {
  auto group = local::make_group(2);
  std::vector<float> a{1}, b{2};
  Pending mine = group[0]->all_reduce(elements(a));
  { const Pending dropped = group[1]->all_reduce(elements(b)); }
  EXPECT_THAT(message_of([&] { mine.wait(); }), testing::HasSubstr("given up"));
}

TEST(Local, ARankThatNeverComesIsMissedAfterTheDeadline) {
  auto group = local::make_group(3, {.deadline = 1ms});
  const std::string message = message_of([&] { group[1]->barrier().wait(); });
  EXPECT_THAT(message, testing::HasSubstr("waited 1 ms for rank 0 2"));
}

TEST(Local, OperationsThatDoNotMatchAreAnError) {
  auto group = local::make_group(2);
  std::vector<float> a(3), b(4);
  Pending mine = group[0]->all_reduce(elements(a));
  const std::string message = message_of([&] { group[1]->all_reduce(elements(b)); });
  EXPECT_THAT(message, testing::HasSubstr("all_reduce(sum) of 4 float32"));
  EXPECT_THAT(message, testing::HasSubstr("all_reduce(sum) of 3 float32"));
  EXPECT_EQ(message_of([&] { mine.wait(); }), message);
}

TEST(Local, ResultsAreTheSameBitsInEveryRun) {
  std::vector<float> first;
  for (int repetition = 0; repetition < 20; ++repetition) {
    local::run_ranks(3, [&](Collective& group) {
      auto data = values_of<float>(group.rank(), 100'003);
      group.all_reduce(elements(data)).wait();
      if (group.rank() != 1) return;
      if (first.empty()) first = data;
      EXPECT_TRUE(same_bits(first, data));
    });
  }
}

}  // namespace
}  // namespace fedstill
