#include "compression/edge/classify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "compression/edge/interpreter.h"
#include "tests/edge/random_network.h"

namespace fedstill {
namespace {

using test::RandomNetwork;
using ::testing::Each;

constexpr std::int64_t kCount = 300;
constexpr std::size_t kPixels = 3 * 6 * 5;

class Classify : public ::testing::Test {
 protected:
  Classify() {
    RandomNetwork network({3, 6, 5}, 11);
    Attributes layer;
    layer.out_features = 20;
    layer.kernel = {3, 3};
    network.add(Op::kReLU, network.add(Op::kConv2d, 0, layer));
    model_ = std::move(network).finish();
    for (std::size_t i = 0; i < kCount * kPixels; ++i) {
      pixels_.push_back(static_cast<std::uint8_t>(random_bits(5, i)));
      const std::size_t channel = i % kPixels / 30;
      images_.push_back((static_cast<float>(pixels_[i]) / 255.0F - mean_[channel]) /
                        deviation_[channel]);
    }
  }

  std::span<const std::uint8_t> image(std::int64_t i) const {
    return std::span(pixels_).subspan(static_cast<std::size_t>(i) * kPixels, kPixels);
  }
  std::vector<float> from_pixels(const ClassifyOptions& options = {}) const {
    return evaluate(
        model_, kCount, [this](std::int64_t i) { return image(i); }, {mean_, deviation_}, options);
  }

  QuantizedGraph model_;
  std::vector<float> mean_{0.3F, 0.5F, 0.4F}, deviation_{0.2F, 0.3F, 0.1F};
  std::vector<std::uint8_t> pixels_;
  std::vector<float> images_;
};

TEST_F(Classify, GivesTheInterpretersLogitsForAnyNumberOfThreads) {
  Interpreter interpreter(model_);
  std::vector<float> expected;
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto logits = interpreter.run(std::span(images_).subspan(i * kPixels, kPixels));
    expected.insert(expected.end(), logits.begin(), logits.end());
  }
  for (const int threads : {0, 1, 2, 7}) {
    EXPECT_EQ(evaluate(model_, images_, {.threads = threads, .on_block = {}}), expected);
    EXPECT_EQ(from_pixels({.threads = threads, .on_block = {}}), expected);
  }
}

TEST_F(Classify, TakesTheLargestLogit) {
  const std::vector<float> logits{0.0F, 2.0F, 1.0F, /**/ -1.0F, -1.0F, -3.0F};
  EXPECT_EQ(top_classes(logits, 2), (std::vector<int>{1, 0}));
  const std::vector<int> classes = classify(model_, images_);
  EXPECT_EQ(classes.size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(classes, top_classes(from_pixels(), kCount));
}

TEST_F(Classify, ReportsEveryImageOnce) {
  std::vector<std::int64_t> done;
  from_pixels({.threads = 3, .on_block = [&](std::int64_t count) { done.push_back(count); }});
  ASSERT_FALSE(done.empty());
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), kCount);
}

TEST_F(Classify, AnswersNoImagesWithNoClasses) {
  EXPECT_TRUE(classify(model_, std::span<const float>{}).empty());
}

TEST_F(Classify, PassesErrorsOnFromItsThreads) {
  const auto broken = [this](std::int64_t i) { return i == 200 ? image(i).first(7) : image(i); };
  EXPECT_THROW(
      evaluate(model_, kCount, broken, {mean_, deviation_}, {.threads = 3, .on_block = {}}),
      std::invalid_argument);
  EXPECT_THROW(evaluate(model_, std::span(images_).first(kPixels + 1)), std::invalid_argument);
  EXPECT_THROW(evaluate(model_, kCount, broken, {std::span(mean_).first(2), deviation_}),
               std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
