#include "compression/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/fold.h"
#include "tests/compression/sample_students.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::error_of;

// image → conv1 → relu1 → pool1 → conv2 (also read by add1) → relu2 → add1 → clip1 → flatten → fc
Graph sample() {
  GraphBuilder builder("sample", {1, 16, 16}, 5);
  const int first = builder.unary(builder.conv(0, {.out = 6}), Op::kReLU);
  const int pooled = builder.pool(first, Op::kMaxPool, 2, 2);
  const int second = builder.conv(pooled, {.out = 6});
  const int sum = builder.binary(second, builder.unary(second, Op::kReLU), Op::kAdd);
  const int flat = builder.unary(builder.unary(sum, Op::kClip), Op::kFlatten);
  return std::move(builder).finish(builder.linear(flat, test::kClasses));
}

std::vector<ActivationScale> calibrate_sample(const Graph& graph,
                                              const CalibrationOptions& options = {}) {
  return calibrate(graph, test::calibration_images(), test::small_normalisation(), options);
}

class EveryMethod : public ::testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, ::testing::ValuesIn(calibration_methods()),
                         [](const auto& method) {
                           std::string name(method.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryMethod, SharesScalesAsQuantizedGraphsDo) {
  const auto scales = calibrate_sample(sample(), {.method = std::string(GetParam())});
  ASSERT_EQ(scales.size(), 10U);
  EXPECT_EQ(scales[1], scales[2]);  // conv1 takes relu1's
  EXPECT_EQ(scales[2], scales[3]);  // pool1 keeps it
  EXPECT_EQ(scales[2].zero_point, 0);
  EXPECT_NE(scales[4].zero_point, 0);  // conv2 has a second reader, so negative values count
  EXPECT_EQ(scales[4], scales[5]);     // relu2 keeps conv2's
  EXPECT_EQ(scales[6], scales[7]);     // add1 takes clip1's
  EXPECT_EQ(scales[7], scales[8]);     // flatten
  EXPECT_EQ(scales[7].zero_point, 0);
}

TEST_P(EveryMethod, NeverLetsAClipLeaveItsBounds) {
  Graph graph = sample();
  for (auto& [name, tensor] : graph.tensors) {
    for (float& value : tensor.values<float>()) value *= 20.0F;
  }
  const auto scales = calibrate_sample(graph, {.method = std::string(GetParam())});
  EXPECT_LE(255.0F * scales[7].scale, 6.0F);
  EXPECT_GT(255.0F * scales[7].scale, 3.0F);
}

TEST_P(EveryMethod, NeverLetsASignedClipLeaveItsBounds) {
  Graph graph = sample();
  graph.nodes[7].attributes.low = -0.8F;
  graph.nodes[7].attributes.high = 0.3F;
  for (auto& [name, tensor] : graph.tensors) {
    for (float& value : tensor.values<float>()) value *= 20.0F;
  }
  const ActivationScale scale = calibrate_sample(graph, {.method = std::string(GetParam())})[7];
  EXPECT_LE(static_cast<float>(255 - scale.zero_point) * scale.scale, 0.3F);
  EXPECT_GE(static_cast<float>(-scale.zero_point) * scale.scale, -0.8F);
  EXPECT_GT(scale.scale, 0.9F * 1.1F / 255.0F);
}

TEST(Calibrate, MinMaxCoversWhatWasSeen) {
  GraphBuilder builder("identity", {1, 16, 16}, 5);
  const int flat = builder.unary(0, Op::kFlatten);
  const int hidden = builder.linear(flat, 8);
  const Graph graph = std::move(builder).finish(builder.linear(hidden, test::kClasses));
  const auto wide = calibrate_sample(graph, {.method = "min-max"});
  const auto narrow = calibrate_sample(graph, {.method = "percentile", .percentile = 90.0});
  EXPECT_GT(wide[2].scale, narrow[2].scale);
  EXPECT_EQ(wide[0], narrow[0]);
}

// 256 pixel values, 256 codes: each keeps its own.
TEST(Calibrate, GivesEveryPixelValueItsOwnCode) {
  Normalisation normalisation{{0.2860F}, {0.3530F}};
  const auto scales = calibrate(sample(), test::calibration_images(), normalisation);
  const auto code = [&](int pixel) {
    const float real = (static_cast<float>(pixel) / 255.0F - 0.2860F) / 0.3530F;
    return std::nearbyint(real / scales[0].scale) + static_cast<float>(scales[0].zero_point);
  };
  for (int pixel = 1; pixel < 256; ++pixel) EXPECT_EQ(code(pixel), code(pixel - 1) + 1.0F);
}

TEST(Calibrate, GivesASilentLayerScaleOne) {
  Graph graph = sample();
  for (auto& [name, tensor] : graph.tensors) {
    for (float& value : tensor.values<float>()) value = 0.0F;
  }
  EXPECT_EQ(calibrate_sample(graph)[1], (ActivationScale{1.0F, 0}));
}

TEST(Calibrate, NamesTheNodeWithValuesThatAreNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    Graph graph = sample();
    const std::string bias = graph.nodes[4].parameters[1];
    graph.tensors.at(bias).values<float>()[2] = bad;
    EXPECT_THAT(error_of([&] { calibrate_sample(graph); }),
                HasSubstr("node '" + graph.nodes[4].name + "' has values that are not finite"));
  }
}

TEST(Calibrate, RefusesUnknownMethodsOddPercentilesAndNoImages) {
  EXPECT_THAT(error_of([] { calibrate_sample(sample(), {.method = "entropy"}); }),
              HasSubstr("expected one of min-max, percentile, minimum-error"));
  EXPECT_THAT(error_of([] { calibrate_sample(sample(), {.percentile = 20.0}); }),
              HasSubstr("percentile is 20"));
  EXPECT_THAT(error_of([] { calibrate_sample(sample(), {.images = 0}); }), HasSubstr("no images"));
}

TEST(Calibrate, LooksAtTheFirstImagesOnly) {
  ImageView some = test::calibration_images();
  some.indices.resize(70);
  const auto expected = calibrate(sample(), some, test::small_normalisation());
  EXPECT_EQ(calibrate_sample(sample(), {.images = 70}), expected);
  EXPECT_NE(calibrate_sample(sample(), {.images = 500}), expected);
}

}  // namespace
}  // namespace fedstill
