#include "training/batch_source.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

#include "toy.h"

namespace fedstill {
namespace {

// Every pixel of image i is i, so that a batch tells which images it holds.
ImageView numbered(std::int64_t count, std::int64_t first = 0) {
  auto images = std::make_shared<Images>();
  images->shape = {.channels = 2, .height = 3, .width = 4};
  ImageView view;
  for (std::int64_t i = 0; i < count; ++i) {
    images->pixels.insert(images->pixels.end(), 24, static_cast<std::uint8_t>(first + i));
    view.indices.push_back(i);
  }
  view.images = std::move(images);
  return view;
}

BatchOptions options(std::int64_t batch) {
  return {.batch = batch, .normalisation = {{0, 0}, {1, 1}}, .seed = 3};
}

std::vector<int> numbers(const Batch& batch) {
  std::vector<int> found;
  for (std::int64_t i = 0; i < batch.images.size(0); ++i) {
    found.push_back(static_cast<int>(std::lround(batch.images[i][0][0][0].item<float>() * 255.0F)));
  }
  return found;
}

TEST(Batches, EveryImageComesOncePerEpochWithItsTarget) {
  std::vector<std::int32_t> labels(12);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i);
  const auto source = make_batches(numbered(12), to_tensor(labels), options(4));
  ASSERT_EQ(source->steps_per_epoch(), 3);
  std::multiset<int> seen;
  for (std::int64_t step = 0; step < 3; ++step) {
    const Batch batch = source->batch(1, step);
    const std::vector<int> found = numbers(batch);
    seen.insert(found.begin(), found.end());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(batch.targets[static_cast<std::int64_t>(i)].item<std::int64_t>(), found[i]);
    }
  }
  EXPECT_EQ(seen.size(), 12U);
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 12U);
}

TEST(Batches, ArePureFunctionsOfEpochAndStep) {
  const at::Tensor targets = tests::random_tensor({12, 3}, 1);
  BatchOptions with = options(4);
  with.augmentation = {.crop_padding = 1, .flip = true};
  const auto a = make_batches(numbered(12), targets, with),
             b = make_batches(numbered(12), targets, with);
  const Batch first = a->batch(2, 1);
  b->batch(0, 0);
  b->batch(5, 2);
  const Batch again = b->batch(2, 1);
  EXPECT_TRUE(at::equal(first.images, again.images));
  EXPECT_TRUE(at::equal(first.targets, again.targets));
  EXPECT_FALSE(at::equal(first.targets, a->batch(3, 1).targets));
}

TEST(Batches, LayoutsHoldTheSameImages) {
  BatchOptions rows = options(4);
  rows.channels_last = false;
  const at::Tensor targets = tests::random_tensor({12}, 1);
  const Batch a = make_batches(numbered(12), targets, options(4))->batch(0, 0);
  const Batch b = make_batches(numbered(12), targets, rows)->batch(0, 0);
  EXPECT_TRUE(a.images.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(b.images.is_contiguous());
  EXPECT_TRUE(at::equal(a.images, b.images));
}

TEST(Batches, RefuseTargetsThatDoNotFit) {
  EXPECT_THROW(make_batches(numbered(12), tests::random_tensor({11}, 1), options(4)),
               std::invalid_argument);
}

TEST(BalancedBatches, HalfOfEachWhateverTheSizes) {
  for (const auto& [positive, negative] : {std::pair{20, 7}, {3, 20}, {1, 9}, {20, 20}}) {
    const auto source =
        make_balanced_batches(numbered(positive, 100), numbered(negative), options(8));
    EXPECT_EQ(source->steps_per_epoch(), std::max(positive, negative) / 4);
    std::set<int> seen;
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      for (std::int64_t step = 0; step < source->steps_per_epoch(); ++step) {
        const Batch batch = source->batch(epoch, step);
        const std::vector<int> found = numbers(batch);
        ASSERT_EQ(found.size(), 8U);
        for (std::size_t i = 0; i < 8; ++i) {
          EXPECT_EQ(found[i] >= 100, i < 4);
          EXPECT_EQ(batch.targets[static_cast<std::int64_t>(i)].item<float>(), i < 4 ? 1.0F : 0.0F);
        }
        seen.insert(found.begin(), found.end());
      }
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(positive + negative));
  }
}

TEST(BalancedBatches, ArePureFunctionsOfEpochAndStep) {
  const auto a = make_balanced_batches(numbered(20), numbered(6), options(8));
  const auto b = make_balanced_batches(numbered(20), numbered(6), options(8));
  const Batch first = a->batch(3, 2);
  b->batch(7, 0);
  EXPECT_TRUE(at::equal(first.images, b->batch(3, 2).images));
}

TEST(ToTensor, KeepsLabels) {
  const std::array<std::int32_t, 3> labels{5, 0, 7};
  const at::Tensor tensor = to_tensor(labels);
  EXPECT_EQ(tensor.scalar_type(), at::kLong);
  EXPECT_EQ(tensor[2].item<std::int64_t>(), 7);
  EXPECT_EQ(to_tensor({}).numel(), 0);
}

}  // namespace
}  // namespace fedstill
