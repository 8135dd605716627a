#include "compression/ranges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compression/edge/code_arithmetic.h"
#include "model/random.h"
#include "tests/support/fill_uniform.h"

namespace fedstill {
namespace {

ValueHistogram histogram_of(const std::vector<float>& values) {
  ValueRange seen;
  for (const float value : values) {
    seen.low = std::min(seen.low, static_cast<double>(value));
    seen.high = std::max(seen.high, static_cast<double>(value));
  }
  ValueHistogram histogram(seen);
  histogram.count(values);
  return histogram;
}

double true_error(const std::vector<float>& values, const ValueRange& range) {
  const ActivationScale scale = scale_of(range);
  double error = 0.0;
  for (const float value : values) {
    const double difference =
        static_cast<double>(value) - real_value(nearest_code(value, scale), scale);
    error += difference * difference;
  }
  return error;
}

std::vector<float> normal_values(std::size_t count, std::uint64_t seed) {
  std::vector<float> values(count);
  fill_normal(values, seed, 1.0F);
  return values;
}

TEST(Scale, KeepsZeroExactAndEveryValueWithinHalfAStep) {
  for (const ValueRange range : {ValueRange{-1.0, 3.0}, {0.0, 6.0}, {-2.5, 0.0}, {-0.001, 700.0}}) {
    const ActivationScale scale = scale_of(range);
    EXPECT_EQ(real_value(nearest_code(0.0F, scale), scale), 0.0F);
    for (int i = 0; i <= 1000; ++i) {
      const auto value = static_cast<float>(range.low + (range.high - range.low) * i / 1000.0);
      // The zero point is rounded too, which moves the ends by up to half a step.
      EXPECT_NEAR(real_value(nearest_code(value, scale), scale), value, 1.001F * scale.scale);
    }
  }
}

TEST(Scale, HasNoZeroPointWhereNothingIsNegative) {
  EXPECT_EQ(scale_of({0.0, 4.0}).zero_point, 0);
  EXPECT_EQ(scale_of({-4.0, 0.0}).zero_point, 255);
  EXPECT_FLOAT_EQ(scale_of({0.0, 25.5}).scale, 0.1F);
}

TEST(Scale, OfASilentActivationIsOne) {
  EXPECT_EQ(scale_of({}), (ActivationScale{1.0F, 0}));
  EXPECT_EQ(scale_of({0.0, 1e-30}), (ActivationScale{1.0F, 0}));
}

TEST(Histogram, CountsEveryValueOnceAndZerosApart) {
  const ValueHistogram histogram = histogram_of({-1.0F, 0.0F, 0.0F, 0.5F, 1.0F, 1.0F});
  std::int64_t total = 0;
  for (const std::int64_t count : histogram.counts()) total += count;
  EXPECT_EQ(total, 4);
  EXPECT_EQ(histogram.zeros(), 2);
  EXPECT_EQ(histogram.counts().back(), 2);
}

TEST(PercentileRange, DropsWhatLiesBeyond) {
  std::vector<float> values;
  for (int i = -1000; i <= 1000; ++i) values.push_back(static_cast<float>(i) / 1000.0F);
  const ValueRange range = percentile_range(histogram_of(values), 95.0);
  EXPECT_NEAR(range.high, 0.9, 0.01);
  EXPECT_NEAR(range.low, -0.9, 0.01);
  const ValueRange all = percentile_range(histogram_of(values), 100.0);
  EXPECT_EQ(all.low, -1.0);
  EXPECT_EQ(all.high, 1.0);
}

TEST(PercentileRange, KeepsAOneSidedRangeOneSided) {
  std::vector<float> values = normal_values(10'000, 3);
  for (float& value : values) value = std::max(value, 0.0F);
  const ValueRange range = percentile_range(histogram_of(values), 99.0);
  EXPECT_EQ(range.low, 0.0);
  EXPECT_NEAR(range.high, 2.33, 0.15);
}

TEST(MinimumErrorRange, LosesLessThanMinMaxWhereThereAreOutliers) {
  std::vector<float> values = normal_values(300'000, 7);
  values[17] = 14.0F;
  values[18] = -12.0F;
  const ValueHistogram histogram = histogram_of(values);
  const ValueRange range = minimum_error_range(histogram);
  EXPECT_LT(range.high, 10.0);
  EXPECT_GT(range.low, -10.0);
  EXPECT_LT(true_error(values, range), 0.8 * true_error(values, histogram.seen()));
}

TEST(MinimumErrorRange, KeepsTheWholeRangeOfEvenValues) {
  std::vector<float> values(20'000);
  tests::fill_uniform(values, 5, -1.0F, 3.0F);
  const ValueRange range = minimum_error_range(histogram_of(values));
  EXPECT_GT(range.high, 2.9);
  EXPECT_LT(range.low, -0.95);
}

TEST(MinimumErrorRange, IsNoWorseThanAnyCutOfOneEnd) {
  std::vector<float> values = normal_values(5'000, 11);
  for (float& value : values) value = value > 0.0F ? value * value * value : 0.0F;
  const ValueHistogram histogram = histogram_of(values);
  const double least = quantization_error(histogram, minimum_error_range(histogram));
  for (int i = 10; i <= 100; ++i) {
    EXPECT_LE(least, quantization_error(histogram, {0.0, histogram.seen().high * i / 100.0}));
  }
}

// The model of the error (step² / 12 inside, the distance outside) against real rounding.
TEST(MinimumErrorRange, ExpectsTheErrorThatRoundingHas) {
  const std::vector<float> values = normal_values(50'000, 13);
  const ValueHistogram histogram = histogram_of(values);
  for (const ValueRange range : {histogram.seen(), ValueRange{-2.0, 2.0}, ValueRange{-1.0, 3.0}}) {
    const double expected = quantization_error(histogram, range);
    EXPECT_NEAR(true_error(values, range) / expected, 1.0, 0.05);
  }
}

}  // namespace
}  // namespace fedstill
