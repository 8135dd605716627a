#include "client/head_batches.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace fedstill {
namespace {

// Rows [first, first + 1] and so on, so that a row can be recognised.
at::Tensor rows(std::int64_t first, std::int64_t count) {
  return at::arange(first, first + count, at::kFloat).reshape({count, 1});
}

std::map<float, int> count_rows(BatchSource& source, std::int64_t steps) {
  std::map<float, int> counts;
  for (std::int64_t step = 0; step < steps; ++step) {
    const at::Tensor images = source.batch(0, step).images;
    for (std::int64_t i = 0; i < images.size(0); ++i) {
      ++counts[images.select(0, i).item<float>()];
    }
  }
  return counts;
}

TEST(BalancedRows, HalfOfEveryBatchFromEachSide) {
  const auto source = make_balanced_rows(rows(0, 10), rows(100, 40), 8, 1);
  EXPECT_EQ(source->steps_per_epoch(), 10);
  for (std::int64_t step = 0; step < 10; ++step) {
    const Batch batch = source->batch(0, step);
    ASSERT_EQ(batch.images.size(0), 8);
    EXPECT_EQ(batch.targets.sum().item<float>(), 4.0F);
    for (std::int64_t i = 0; i < 8; ++i) {
      const bool positive = batch.images.select(0, i).item<float>() < 100.0F;
      EXPECT_EQ(batch.targets.select(0, i).item<float>(), positive ? 1.0F : 0.0F);
    }
  }
}

TEST(BalancedRows, AnEpochWalksTheLargerSideOnce) {
  const auto source = make_balanced_rows(rows(0, 8), rows(100, 40), 8, 1);
  const auto counts = count_rows(*source, source->steps_per_epoch());
  EXPECT_EQ(counts.size(), 48U);
  for (const auto& [row, count] : counts) EXPECT_EQ(count, row < 100.0F ? 5 : 1);
}

TEST(BalancedRows, ABatchIsAFunctionOfEpochAndStep) {
  const auto one = make_balanced_rows(rows(0, 10), rows(100, 40), 8, 1);
  const auto two = make_balanced_rows(rows(0, 10), rows(100, 40), 8, 1);
  static_cast<void>(two->batch(0, 0));
  const at::Tensor again = two->batch(3, 2).images;
  for (std::int64_t step = 0; step < 3; ++step) static_cast<void>(one->batch(3, step));
  EXPECT_TRUE(one->batch(3, 2).images.equal(again));
  EXPECT_FALSE(one->batch(2, 2).images.equal(again));
}

TEST(BalancedRows, AFewRowsAreEnough) {
  const auto source = make_balanced_rows(rows(0, 1), rows(100, 2), 128, 1);
  const Batch batch = source->batch(5, 0);
  EXPECT_EQ(batch.images.size(0), 3);
  EXPECT_THROW(make_balanced_rows(rows(0, 0), rows(0, 5), 8, 1), std::invalid_argument);
  EXPECT_THROW(make_balanced_rows(rows(0, 5), rows(0, 0), 8, 1), std::invalid_argument);
  EXPECT_THROW(make_balanced_rows(rows(0, 5), rows(0, 5), 1, 1), std::invalid_argument);
}

TEST(OneEpoch, MakesExactlySoManySteps) {
  const auto inner = make_balanced_rows(rows(0, 10), rows(100, 40), 8, 1);
  const auto source = make_one_epoch(make_balanced_rows(rows(0, 10), rows(100, 40), 8, 1), 25);
  EXPECT_EQ(source->steps_per_epoch(), 25);
  for (const std::int64_t step : {0, 9, 10, 24}) {
    EXPECT_TRUE(source->batch(0, step).images.equal(inner->batch(step / 10, step % 10).images));
  }
  EXPECT_THROW(make_one_epoch(make_balanced_rows(rows(0, 1), rows(0, 1), 2, 1), 0),
               std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
