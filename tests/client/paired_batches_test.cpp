#include "client/paired_batches.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "tests/client/images.h"

namespace fedstill {
namespace {

std::unique_ptr<BatchSource> batches_of(const Shard& shard, std::int64_t batch,
                                        std::uint64_t seed) {
  BatchOptions options;
  options.batch = batch;
  options.normalisation = some_normalisation();
  options.seed = seed;
  return make_batches(shard.images, to_tensor(shard.labels), options);
}

TEST(PairedBatches, TheSecondGoesOnThroughItsOwnEpochs) {
  const Shard few = shard_of({0, 1}, 0, 40), many = shard_of({2, 3}, 0, 96);
  const auto paired = make_paired_batches(batches_of(few, 16, 1), batches_of(many, 32, 2));
  const auto first = batches_of(few, 16, 1), second = batches_of(many, 32, 2);
  ASSERT_EQ(paired->steps_per_epoch(), 2);
  ASSERT_EQ(second->steps_per_epoch(), 3);
  for (std::int64_t overall : {4, 0, 1, 3, 2}) {  // a pure function of epoch and step
    const Batch found = paired->batch(overall / 2, overall % 2);
    const Batch left = first->batch(overall / 2, overall % 2),
                right = second->batch(overall / 3, overall % 3);
    EXPECT_TRUE(at::equal(found.images, at::cat({left.images, right.images}))) << overall;
    EXPECT_TRUE(at::equal(found.targets, at::cat({left.targets, right.targets}))) << overall;
  }
}

}  // namespace
}  // namespace fedstill
