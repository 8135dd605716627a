#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "data/readers.h"
#include "tests/data/bytes.h"

namespace fedstill {
namespace {

using tests::idx_images;

TrainTest small_sets() {
  const auto dataset = [](std::uint8_t first) {
    return Dataset{std::make_shared<Images>(decode_idx_images(idx_images(2, 1, 2, first), "x")),
                   {0, 1},
                   {"a", "b"}};
  };
  return {dataset(0), dataset(50)};
}

TEST(TrainTest, HashTellsEveryPart) {
  const std::string base = small_sets().hash();
  EXPECT_EQ(base.size(), 64U);
  EXPECT_EQ(small_sets().hash(), base);
  for (Dataset TrainTest::*half : {&TrainTest::train, &TrainTest::test}) {
    TrainTest label = small_sets(), pixel = label, name = label, shape = label;
    (label.*half).labels[1] = 0;
    EXPECT_NE(label.hash(), base);
    (name.*half).class_names = {"ab", ""};
    EXPECT_NE(name.hash(), base);
    Images changed = *(pixel.*half).images;
    ++changed.pixels[3];
    (pixel.*half).images = std::make_shared<Images>(changed);
    EXPECT_NE(pixel.hash(), base);
    (shape.*half).images = std::make_shared<Images>(Images{{1, 2, 1}, {0, 1, 2, 3}});
    EXPECT_NE(shape.hash(), base);
  }
  TrainTest swapped = small_sets();
  std::swap(swapped.train, swapped.test);
  EXPECT_NE(swapped.hash(), base);
}

}  // namespace
}  // namespace fedstill
