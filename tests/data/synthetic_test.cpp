#include "data/synthetic.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "data/data_error.h"
#include "tests/data/bytes.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::message_of;

ImageView view_of(const Dataset& set) {
  ImageView view{set.images, {}};
  for (std::int64_t i = 0; i < set.images->count(); ++i) view.indices.push_back(i);
  return view;
}

// Mean image of every class, the simplest thing that can be learned.
std::vector<std::vector<double>> class_means(const Dataset& set) {
  const auto pixels = static_cast<std::size_t>(set.images->pixels_per_image());
  std::vector<std::vector<double>> means(set.class_names.size(), std::vector<double>(pixels));
  std::vector<double> counts(set.class_names.size());
  const ImageView images = view_of(set);
  for (std::int64_t i = 0; i < images.count(); ++i) {
    const auto label = static_cast<std::size_t>(set.labels[static_cast<std::size_t>(i)]);
    const auto image = images.image(i);
    for (std::size_t p = 0; p < pixels; ++p) means[label][p] += image[p];
    counts[label] += 1.0;
  }
  for (std::size_t label = 0; label < means.size(); ++label) {
    for (double& value : means[label]) value /= counts[label];
  }
  return means;
}

double nearest_mean_accuracy(const TrainTest& sets) {
  const auto means = class_means(sets.train);
  const ImageView images = view_of(sets.test);
  double right = 0.0;
  for (std::int64_t i = 0; i < images.count(); ++i) {
    const auto image = images.image(i);
    std::vector<double> distances;
    for (const auto& mean : means) {
      double sum = 0.0;
      for (std::size_t p = 0; p < mean.size(); ++p)
        sum += (image[p] - mean[p]) * (image[p] - mean[p]);
      distances.push_back(sum);
    }
    const auto nearest = std::ranges::min_element(distances) - distances.begin();
    right += nearest == sets.test.labels[static_cast<std::size_t>(i)] ? 1.0 : 0.0;
  }
  return right / static_cast<double>(images.count());
}

TEST(Synthetic, CanBeLearned) {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const TrainTest sets = make_synthetic({1, 16, 16}, 10, 1000, 500, seed);
    EXPECT_GT(nearest_mean_accuracy(sets), 0.7) << "seed " << seed;
  }
}

TEST(Synthetic, HasTheStatedSizesAndBalancedClasses) {
  const TrainTest sets = make_synthetic({3, 17, 20}, 7, 70, 21, 5);
  EXPECT_EQ(sets.train.images->shape, (ImageShape{3, 17, 20}));
  EXPECT_EQ(sets.test.images->shape, (ImageShape{3, 17, 20}));
  EXPECT_EQ(sets.train.images->count(), 70);
  EXPECT_EQ(sets.test.images->count(), 21);
  EXPECT_EQ(sets.train.class_names.size(), 7U);
  for (std::int32_t label = 0; label < 7; ++label) {
    EXPECT_EQ(std::ranges::count(sets.train.labels, label), 10);
    EXPECT_EQ(std::ranges::count(sets.test.labels, label), 3);
  }
}

TEST(Synthetic, IsAFunctionOfItsArguments) {
  const auto pixels = [](std::uint64_t seed) {
    return make_synthetic({1, 16, 16}, 3, 9, 9, seed).train.images->pixels;
  };
  EXPECT_EQ(pixels(1), pixels(1));
  EXPECT_NE(pixels(1), pixels(2));
  const TrainTest sets = make_synthetic({1, 16, 16}, 3, 9, 9, 1);
  EXPECT_NE(sets.train.images->pixels, sets.test.images->pixels);
}

// Examples and their expected output rest on these bytes.
TEST(Synthetic, StaysTheSameForever) {
  const TrainTest sets = make_synthetic({2, 8, 8}, 3, 6, 3, 7);
  EXPECT_EQ((UnlabeledPool{view_of(sets.train)}.hash()),
            "90e5002206fb7a0d0ed0a1ddbf2ec2ab08b942d02db29c74a6591ee5e900c679");
}

TEST(Synthetic, IsASource) {
  EXPECT_EQ(read_source("synthetic").train.images->count(), 6000);
  EXPECT_EQ(read_source("synthetic").test.images->shape, (ImageShape{1, 28, 28}));
  const TrainTest sets = read_source("synthetic:4x3x16x18");
  EXPECT_EQ(sets.test.images->count(), 1000);
  EXPECT_EQ(sets.test.images->shape, (ImageShape{3, 16, 18}));
  EXPECT_EQ(sets.test.classes(), 4);
}

TEST(Synthetic, BadSizesAreRefused) {
  for (const char* sizes :
       {"x", "4", "4x3x16", "4x3x16x", "4x3x16x16x", "4x3x16x16x2", "4,3,16,16", "1x3x16x16",
        "4x0x16x16", "4x3x-1x16", "4x3x9999999x16", "99999999999999999999x1x16x16"}) {
    EXPECT_THAT(message_of<DataError>([&] { read_source("synthetic:" + std::string(sizes)); }),
                HasSubstr("[synthetic] found"))
        << sizes;
  }
  EXPECT_THROW(make_synthetic({1, 16, 16}, 1, 10, 10, 0), std::invalid_argument);
  EXPECT_THROW(make_synthetic({1, 16, 16}, 2, 0, 10, 0), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
