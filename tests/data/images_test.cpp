#include "data/images.h"

#include <gmock/gmock.h>

#include <memory>
#include <stdexcept>

namespace fedstill {
namespace {

using ::testing::ElementsAre;

// Four images of 1 × 1 × 2.
Dataset small_dataset() {
  auto images = std::make_shared<Images>();
  images->shape = {1, 1, 2};
  images->pixels = {0, 1, 10, 11, 20, 21, 30, 31};
  return {images, {0, 1, 1, 0}, {"a", "b"}};
}

TEST(Shard, KeepsImagesAndLabelsTogether) {
  const Shard shard = make_shard(small_dataset(), {3, 1});
  EXPECT_EQ(shard.images.count(), 2);
  EXPECT_THAT(shard.images.image(0), ElementsAre(30, 31));
  EXPECT_THAT(shard.images.image(1), ElementsAre(10, 11));
  EXPECT_THAT(shard.labels, ElementsAre(0, 1));
}

TEST(Shard, IndicesOutOfRangeAreRefused) {
  EXPECT_THROW(make_shard(small_dataset(), {0, 4}), std::invalid_argument);
  EXPECT_THROW(make_shard(small_dataset(), {-1}), std::invalid_argument);
}

TEST(UnlabeledPool, HashTellsPixelsOrderAndShape) {
  const Dataset dataset = small_dataset();
  const auto hash = [](std::shared_ptr<const Images> images, std::vector<std::int64_t> indices) {
    return UnlabeledPool{{std::move(images), std::move(indices)}}.hash();
  };
  const std::string base = hash(dataset.images, {0, 2});
  EXPECT_EQ(base.size(), 64U);
  EXPECT_EQ(hash(dataset.images, {0, 2}), base);
  EXPECT_NE(hash(dataset.images, {2, 0}), base);
  EXPECT_NE(hash(dataset.images, {0, 2, 2}), base);
  auto turned = std::make_shared<Images>(*dataset.images);
  turned->shape = {1, 2, 1};
  EXPECT_NE(hash(turned, {0, 2}), base);
  auto changed = std::make_shared<Images>(*dataset.images);
  changed->pixels[1] = 2;
  EXPECT_NE(hash(changed, {0, 2}), base);
  // The same pixels at other places are the same pool.
  auto moved = std::make_shared<Images>(Images{{1, 1, 2}, {20, 21, 0, 1}});
  EXPECT_EQ(hash(moved, {1, 0}), base);
}

}  // namespace
}  // namespace fedstill
