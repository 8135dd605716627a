#include "data/idx_writer.h"

#include <gtest/gtest.h>

#include "data/data_error.h"
#include "data/readers.h"
#include "data/synthetic.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {
namespace {

Shard some_shard(std::int64_t channels) {
  const TrainTest sets = make_synthetic({channels, 6, 5}, 3, 20, 3, 4);
  return make_shard(sets.train, {7, 2, 19, 0});
}

TEST(IdxWriter, WhatItWritesIsReadBack) {
  for (const std::int64_t channels : {1, 3}) {
    const Shard shard = some_shard(channels);
    const Images images = decode_idx_images(encode_idx_images(shard.images), "memory");
    ASSERT_EQ(images.shape, shard.images.images->shape);
    ASSERT_EQ(images.count(), 4);
    const ImageView view{std::make_shared<Images>(images), {0, 1, 2, 3}};
    for (std::int64_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(std::ranges::equal(view.image(i), shard.images.image(i)));
    }
    EXPECT_EQ(decode_idx_labels(encode_idx_labels(shard.labels), "memory"), shard.labels);
  }
}

TEST(IdxWriter, GrayImagesAreLeCunsFormat) {
  const auto bytes = encode_idx_images(some_shard(1).images);
  const std::vector<std::uint8_t> head(bytes.begin(), bytes.begin() + 16);
  EXPECT_EQ(head, (std::vector<std::uint8_t>{0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 5}));
}

TEST(IdxWriter, EveryTruncationIsRefused) {
  const auto bytes = encode_idx_images(some_shard(3).images);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(decode_idx_images(std::span(bytes).first(n), "memory"), DataError) << n;
  }
}

TEST(IdxWriter, ALabelMustFitAByte) {
  EXPECT_THROW(encode_idx_labels(std::vector<std::int32_t>{256}), std::invalid_argument);
  EXPECT_THROW(encode_idx_labels(std::vector<std::int32_t>{-1}), std::invalid_argument);
}

TEST(IdxWriter, ASiteReadsItsFolderWithoutATestSet) {
  for (const std::int64_t channels : {1, 3}) {
    const TemporaryFolder folder;
    const Shard shard = some_shard(channels);
    write_idx_shard(folder.path() / "site", shard);
    const Dataset read = read_labelled("idx:" + (folder.path() / "site").string());
    EXPECT_EQ(read.labels, shard.labels);
    EXPECT_EQ(read.images->shape.channels, channels);
    EXPECT_THROW(read_source("idx:" + (folder.path() / "site").string()), DataError);
  }
}

}  // namespace
}  // namespace fedstill
