#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "data/batches.h"
#include "tests/data/random_images.h"

namespace fedstill {
namespace {

using tests::grey_images;
using tests::random_images;

TEST(Normalisation, EqualsTheNaiveMeanAndDeviation) {
  const ImageShape shape{3, 7, 5};
  ImageView images = random_images(shape, 30);
  images.indices.resize(20);  // only what the view shows counts
  const Normalisation measured = measure_normalisation(images);
  ASSERT_EQ(measured.mean.size(), 3U);
  for (std::size_t c = 0; c < 3; ++c) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < 20; ++i) {
      for (const std::uint8_t value : images.image(i).subspan(c * 35, 35)) {
        values.push_back(value / 255.0);
      }
    }
    const double count = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
    double squares = 0.0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    EXPECT_NEAR(measured.mean[c], mean, 1e-6);
    EXPECT_NEAR(measured.deviation[c], std::sqrt(squares / count), 1e-6);
  }
}

TEST(Normalisation, DoesNotDependOnTheOrder) {
  ImageView images = random_images({1, 9, 9}, 50);
  const Normalisation forwards = measure_normalisation(images);
  std::ranges::reverse(images.indices);
  EXPECT_EQ(measure_normalisation(images), forwards);
}

TEST(Normalisation, ConstantImagesStayFinite) {
  const ImageView images = grey_images({1, 4, 4}, 51);
  const Normalisation measured = measure_normalisation(images);
  EXPECT_FLOAT_EQ(measured.mean[0], 0.2F);
  EXPECT_FLOAT_EQ(measured.deviation[0], 1.0F / 255.0F);
  EXPECT_THROW(measure_normalisation({images.images, {}}), std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
