#include "averaging/workers.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace fedstill {
namespace {

class WorkersOf : public ::testing::TestWithParam<int> {};

TEST_P(WorkersOf, DoEveryItemOfEveryBatchOnce) {
  Workers workers(GetParam());
  EXPECT_EQ(workers.count(), GetParam());
  for (std::size_t items : {0U, 1U, 2U, 17U, 1000U}) {
    std::vector<std::atomic<int>> done(items);
    workers.run(items, [&](int worker, std::size_t item) {
      EXPECT_LT(worker, GetParam());
      ++done[item];
    });
    for (const auto& count : done) EXPECT_EQ(count, 1);
  }
}

TEST_P(WorkersOf, ManyShortBatchesMeetAtTheEndOfEach) {
  Workers workers(GetParam());
  int total = 0;  // no atomic: only read and written between batches
  for (int batch = 0; batch < 2000; ++batch) {
    std::atomic<int> sum = 0;
    workers.run(3, [&](int, std::size_t item) { sum += static_cast<int>(item); });
    total += sum;
  }
  EXPECT_EQ(total, 6000);
}

TEST_P(WorkersOf, RethrowAFailureAndWorkOn) {
  Workers workers(GetParam());
  const auto fail = [](int, std::size_t item) {
    if (item == 3) throw std::runtime_error("item 3");
  };
  EXPECT_THROW(workers.run(10, fail), std::runtime_error);
  std::atomic<int> done = 0;
  workers.run(10, [&](int, std::size_t) { ++done; });
  EXPECT_EQ(done, 10);
}

INSTANTIATE_TEST_SUITE_P(Counts, WorkersOf, ::testing::Values(1, 2, 5));

}  // namespace
}  // namespace fedstill
