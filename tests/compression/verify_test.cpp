#include "compression/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/compression/sample_students.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class Gate : public ::testing::Test {
 protected:
  GateReport check(const GateOptions& options = {}) const {
    return verify(student_, quantized_, test::test_images(), test::small_normalisation(), options);
  }
  std::string refusal() const {
    try {
      check();
    } catch (const GateError& error) {
      return error.what();
    }
    return "passed";
  }
  // All weights of a layer sixteen times too large.
  void damage(const std::string& node) {
    const Node& damaged =
        quantized_.graph.nodes[static_cast<std::size_t>(quantized_.graph.find(node))];
    for (float& scale : quantized_.weight_scales.at(damaged.parameters[0])) scale *= 16.0F;
  }

  Graph student_ = test::untrained("cnn3", 9);
  QuantizedGraph quantized_ =
      quantize(student_, "w8a8", test::calibration_images(), test::small_normalisation());
};

TEST_F(Gate, ReportsAgreementAndEveryLayerOnce) {
  const GateReport report = check();
  EXPECT_EQ(report.images, 400);
  EXPECT_GE(report.agreement, 0.97);
  EXPECT_LE(report.agreement, 1.0);
  for (std::size_t i = 1; i < report.layers.size(); ++i) {
    EXPECT_LT(quantized_.graph.find(report.layers[i - 1].node),
              quantized_.graph.find(report.layers[i].node));
  }
  EXPECT_EQ(report.layers.back().node, quantized_.graph.nodes.back().name);
  for (const LayerNoise& layer : report.layers) {
    EXPECT_NE(
        quantized_.graph.nodes[static_cast<std::size_t>(quantized_.graph.find(layer.node))].op,
        Op::kReLU);
  }
}

TEST_F(Gate, RefusesADamagedLayerByName) {
  std::vector<std::string> layers;
  for (const Node& node : quantized_.graph.nodes) {
    if (node.op == Op::kConv2d) layers.push_back(node.name);
  }
  ASSERT_EQ(layers.size(), 3U);
  damage(layers[1]);
  EXPECT_THAT(refusal(), MatchesRegex("\\[gate\\] [0-9.]+ % of 400 images keep their class, at "
                                      "least 97\\.0 % are needed; the signal falls most at node "
                                      "'" +
                                      layers[1] + "' \\(from [0-9.]+ dB to -?[0-9.]+ dB\\)"));
}

TEST_F(Gate, LetsADamagedLayerPassOnlyIfAsked) {
  damage(quantized_.graph.nodes[1].name);
  EXPECT_THROW(check(), GateError);
  EXPECT_LT(check({.minimum_agreement = 0.0}).agreement, 0.97);
}

TEST_F(Gate, RefusesToCompareStrangers) {
  student_ = test::untrained("lenet5");
  EXPECT_THROW(check(), std::invalid_argument);
}

TEST_F(Gate, LooksAtAsManyImagesAsAsked) {
  const GateReport few = check({.layer_images = 10}), many = check({.layer_images = 300});
  EXPECT_NE(few.layers[1].signal_to_noise_db, many.layers[1].signal_to_noise_db);
  EXPECT_EQ(few.agreement, many.agreement);
}

}  // namespace
}  // namespace fedstill
