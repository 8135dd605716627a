#include "data/batches.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/data/random_images.h"

namespace fedstill {
namespace {

using tests::grey_images;
using tests::random_images;
using tests::Rows;

Normalisation some_normalisation(std::int64_t channels) {
  Normalisation normalisation;
  for (std::int64_t c = 0; c < channels; ++c) {
    normalisation.mean.push_back(0.25F + 0.125F * static_cast<float>(c));
    normalisation.deviation.push_back(0.5F + 0.25F * static_cast<float>(c));
  }
  return normalisation;
}

std::vector<float> gathered(const ImageView& images, const Rows& rows, bool channels_last = false,
                            const Augmentation& augmentation = {}, std::uint64_t key = 0) {
  std::vector<float> out(rows.size() * static_cast<std::size_t>(images.images->pixels_per_image()));
  gather(images, rows, some_normalisation(images.images->shape.channels), out, channels_last,
         augmentation, key);
  return out;
}

TEST(Gather, EqualsTheNaiveLoopInBothLayouts) {
  for (const ImageShape shape : {ImageShape{1, 5, 7}, ImageShape{3, 4, 6}, ImageShape{2, 1, 1}}) {
    const ImageView images = random_images(shape, 9);
    const Normalisation normalisation = some_normalisation(shape.channels);
    const Rows rows{4, 0, 8, 4, 2};
    const std::vector<float> first = gathered(images, rows, false);
    const std::vector<float> last = gathered(images, rows, true);
    std::size_t at = 0;
    for (std::size_t n = 0; n < rows.size(); ++n) {
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        for (std::int64_t p = 0; p < shape.height * shape.width; ++p, ++at) {
          const std::int64_t source = (8 - rows[n]) * shape.channels + c;
          const auto pixel =
              images.images
                  ->pixels[static_cast<std::size_t>(source * shape.height * shape.width + p)];
          const auto channel = static_cast<std::size_t>(c);
          const float expected =
              (static_cast<float>(pixel) / 255.0F - normalisation.mean[channel]) /
              normalisation.deviation[channel];
          EXPECT_NEAR(first[at], expected, 1e-6F);
          const auto interleaved = static_cast<std::size_t>(
              (static_cast<std::int64_t>(n) * shape.height * shape.width + p) * shape.channels + c);
          EXPECT_EQ(last[interleaved], first[at]);
        }
      }
    }
  }
}

TEST(Gather, MistakesOfTheCallerAreRefused) {
  const ImageView images = random_images({3, 4, 4}, 5);
  std::vector<float> out(2 * 48);
  const auto call = [&](const Rows& rows, std::int64_t channels) {
    gather(images, rows, some_normalisation(channels), out);
  };
  EXPECT_NO_THROW(call({0, 4}, 3));
  EXPECT_THROW(call({0, 5}, 3), std::invalid_argument);
  EXPECT_THROW(call({-1, 0}, 3), std::invalid_argument);
  EXPECT_THROW(call({0}, 3), std::invalid_argument);
  EXPECT_THROW(call({0, 1, 2}, 3), std::invalid_argument);
  EXPECT_THROW(call({0, 4}, 1), std::invalid_argument);
  EXPECT_THROW(gather(images, {}, {{0, 0, 0}, {1, 0, 1}}, {}), std::invalid_argument);
  EXPECT_NO_THROW(gather(images, {}, some_normalisation(3), {}));
}

TEST(Augment, DependsOnKeyAndPositionAlone) {
  const ImageView images = random_images({3, 12, 12}, 20);
  const Augmentation all{.crop_padding = 2, .flip = true, .erase = 0.5F};
  const Rows rows{3, 3, 3, 3, 7, 9};
  const std::vector<float> once = gathered(images, rows, false, all, 5);
  EXPECT_EQ(gathered(images, rows, false, all, 5), once);
  EXPECT_NE(gathered(images, rows, false, all, 6), once);
  // A batch cut short is a prefix of the whole one.
  const std::vector<float> two = gathered(images, {3, 3}, false, all, 5);
  EXPECT_TRUE(std::ranges::equal(two, std::span(once).first(two.size())));
  const auto image = [&](std::size_t n) { return std::span(once).subspan(n * 432, 432); };
  EXPECT_FALSE(std::ranges::equal(image(0), image(1)) && std::ranges::equal(image(1), image(2)) &&
               std::ranges::equal(image(2), image(3)))
      << "the same image at four positions should not change alike";
}

TEST(Augment, ChannelsLastIsTheSameImage) {
  const ImageView images = random_images({3, 9, 11}, 4);
  const Augmentation all{.crop_padding = 3, .flip = true, .erase = 1.0F};
  const Rows rows{0, 1, 2, 3};
  const std::vector<float> first = gathered(images, rows, false, all, 9);
  const std::vector<float> last = gathered(images, rows, true, all, 9);
  for (std::size_t n = 0; n < 4; ++n) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t p = 0; p < 99; ++p) {
        EXPECT_EQ(last[(n * 99 + p) * 3 + c], first[(n * 3 + c) * 99 + p]);
      }
    }
  }
}

TEST(Augment, FlipsAboutHalfLeftToRight) {
  const ImageView images = random_images({2, 3, 5}, 1);
  const Rows rows(1000, 0);
  const std::vector<float> plain = gathered(images, {0});
  const std::vector<float> out = gathered(images, rows, false, {.flip = true}, 3);
  int flips = 0;
  for (std::size_t n = 0; n < rows.size(); ++n) {
    const bool flipped = out[n * 30] != plain[0];
    flips += flipped ? 1 : 0;
    for (std::size_t i = 0; i < 30; ++i) {
      const std::size_t from = flipped ? i / 5 * 5 + 4 - i % 5 : i;
      ASSERT_EQ(out[n * 30 + i], plain[from]) << n << ' ' << i;
    }
  }
  EXPECT_GT(flips, 430);
  EXPECT_LT(flips, 570);
}

// Every crop is a window of the zero-padded image, and every window occurs about equally often.
TEST(Augment, CropsAtEveryOffset) {
  const ImageShape shape{1, 6, 4};
  const ImageView images = random_images(shape, 1);
  constexpr std::int64_t kPadding = 1;
  const Rows rows(1800, 0);
  const std::vector<float> out = gathered(images, rows, false, {.crop_padding = kPadding}, 8);
  const std::vector<float> plain = gathered(images, {0});
  const float black = gathered(grey_images(shape, 0), {0})[0];
  std::vector<int> seen(9);
  for (std::size_t n = 0; n < rows.size(); ++n) {
    int matches = 0;
    for (std::int64_t offset = 0; offset < 9; ++offset) {
      bool same = true;
      for (std::int64_t i = 0; i < 24; ++i) {
        const std::int64_t y = i / 4 + offset / 3 - kPadding;
        const std::int64_t x = i % 4 + offset % 3 - kPadding;
        const bool inside = y >= 0 && y < 6 && x >= 0 && x < 4;
        const float expected = inside ? plain[static_cast<std::size_t>(y * 4 + x)] : black;
        same = same && out[n * 24 + static_cast<std::size_t>(i)] == expected;
      }
      matches += same ? 1 : 0;
      seen[static_cast<std::size_t>(offset)] += same ? 1 : 0;
    }
    ASSERT_EQ(matches, 1) << n;
  }
  for (const int count : seen) EXPECT_NEAR(count, 200, 70);
}

TEST(Augment, PaddingBeyondTheImageLeavesItBlack) {
  const ImageView images = grey_images({1, 2, 2}, 200);
  const Rows rows(200, 0);
  const std::vector<float> out = gathered(images, rows, false, {.crop_padding = 50}, 1);
  const float black = gathered(grey_images({1, 2, 2}, 0), {0})[0];
  EXPECT_GT(std::ranges::count(out, black), 700);
}

TEST(Augment, ErasesOneRectangleOfTheStatedSize) {
  const ImageShape shape{3, 32, 32};
  const ImageView images = grey_images(shape, 255);
  const Rows rows(2000, 0);
  const std::vector<float> out = gathered(images, rows, false, {.erase = 0.25F}, 2);
  int erased = 0;
  std::set<std::int64_t> tops;
  for (std::size_t n = 0; n < rows.size(); ++n) {
    std::int64_t area = 0, top = 32, bottom = -1, left = 32, right = -1;
    for (std::int64_t p = 0; p < 1024; ++p) {
      const auto at = n * 3072 + static_cast<std::size_t>(p);
      ASSERT_EQ(out[at] == 0.0F, out[at + 1024] == 0.0F) << "all channels or none";
      if (out[at] != 0.0F) continue;
      ++area;
      top = std::min(top, p / 32), bottom = std::max(bottom, p / 32);
      left = std::min(left, p % 32), right = std::max(right, p % 32);
    }
    if (area == 0) continue;
    ++erased;
    tops.insert(top);
    ASSERT_EQ(area, (bottom - top + 1) * (right - left + 1)) << "no rectangle";
    ASSERT_GE(static_cast<double>(area), 0.015 * 1024);
    ASSERT_LE(static_cast<double>(area), 0.215 * 1024);
  }
  EXPECT_NEAR(erased, 500, 80);
  EXPECT_GT(tops.size(), 20U) << "rectangles lie everywhere";
}

TEST(EpochShuffle, EveryEpochVisitsEveryRowOnce) {
  EpochShuffle shuffle(96, 8, 3);
  EXPECT_EQ(shuffle.steps(), 12);
  std::set<Rows> orders;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    Rows order;
    for (std::int64_t step = 0; step < 12; ++step) {
      const auto rows = shuffle.rows(epoch, step);
      EXPECT_EQ(rows.size(), 8U);
      order.insert(order.end(), rows.begin(), rows.end());
    }
    orders.insert(order);
    std::ranges::sort(order);
    for (std::int64_t i = 0; i < 96; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_EQ(orders.size(), 5U) << "no two epochs alike";
}

TEST(EpochShuffle, AnEpochDoesNotDependOnThoseBefore) {
  const auto rows = [](EpochShuffle& shuffle, std::int64_t epoch, std::int64_t step) {
    const auto span = shuffle.rows(epoch, step);
    return Rows(span.begin(), span.end());
  };
  EpochShuffle in_order(50, 7, 11), resumed(50, 7, 11), other(50, 7, 12);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) rows(in_order, epoch, 0);
  EXPECT_EQ(rows(in_order, 3, 4), rows(resumed, 3, 4));
  EXPECT_EQ(rows(in_order, 1, 2), rows(resumed, 1, 2));
  EXPECT_NE(rows(in_order, 3, 4), rows(other, 3, 4));
}

TEST(EpochShuffle, DropsThePartialBatchUnlessItIsTheOnlyOne) {
  EpochShuffle partial(10, 4, 0);
  EXPECT_EQ(partial.steps(), 2);
  EXPECT_EQ(partial.rows(0, 1).size(), 4U);
  EpochShuffle only(3, 4, 0);
  EXPECT_EQ(only.steps(), 1);
  EXPECT_EQ(only.rows(7, 0).size(), 3U);
}

TEST(EpochShuffle, MistakesOfTheCallerAreRefused) {
  EXPECT_THROW(EpochShuffle(0, 4, 0), std::invalid_argument);
  EXPECT_THROW(EpochShuffle(4, 0, 0), std::invalid_argument);
  EpochShuffle shuffle(10, 4, 0);
  EXPECT_THROW(shuffle.rows(0, 2), std::invalid_argument);
  EXPECT_THROW(shuffle.rows(0, -1), std::invalid_argument);
  EXPECT_THROW(shuffle.rows(-1, 0), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
