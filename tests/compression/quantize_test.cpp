#include "compression/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compression/verify.h"
#include "model/random.h"
#include "tests/compression/sample_students.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using tests::error_of;

QuantizedGraph quantize_small(const Graph& student) {
  return quantize(student, "w8a8", test::calibration_images(), test::small_normalisation(),
                  {.images = 64});
}

TEST(QuantizeWeight, IsSymmetricPerChannelAndWithinHalfAStep) {
  std::vector<float> values(5 * 12);
  fill_normal(values, 3, 0.3F);
  for (std::size_t i = 24; i < 36; ++i) values[i] = 0.0F;
  for (std::size_t i = 36; i < 48; ++i) values[i] *= 1e-4F;
  const QuantizedWeight quantized = quantize_weight(Tensor::of_floats({5, 3, 2, 2}, values));
  ASSERT_EQ(quantized.scales.size(), 5U);
  EXPECT_EQ(quantized.codes.shape(), (std::vector<std::int64_t>{5, 3, 2, 2}));
  const auto codes = quantized.codes.values<std::int8_t>();
  for (std::size_t row = 0; row < 5; ++row) {
    int largest = 0;
    for (std::size_t i = row * 12; i < row * 12 + 12; ++i) {
      largest = std::max(largest, std::abs(static_cast<int>(codes[i])));
      EXPECT_NEAR(static_cast<float>(codes[i]) * quantized.scales[row], values[i],
                  0.5001F * quantized.scales[row]);
    }
    EXPECT_EQ(largest, row == 2 ? 0 : 127);
  }
  EXPECT_EQ(quantized.scales[2], 1.0F);
}

TEST(QuantizeWeight, RefusesWhatIsNotFinite) {
  EXPECT_THROW(quantize_weight(Tensor::of_floats({1, 2}, std::vector<float>{1.0F, NAN})),
               std::invalid_argument);
}

class EveryZooModel : public ::testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Zoo, EveryZooModel, ::testing::ValuesIn(zoo_names()),
                         [](const auto& model) {
                           std::string name(model.param);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EveryZooModel, KeepsTheSignalInEveryLayer) {
  const Graph student = test::untrained(GetParam());
  const QuantizedGraph quantized = quantize_small(student);
  ImageView few = test::test_images();
  few.indices.resize(32);
  const GateReport report = verify(student, quantized, few, test::small_normalisation(),
                                   {.minimum_agreement = 0.0, .layer_images = 32});
  ASSERT_GT(report.layers.size(), 3U);
  for (const LayerNoise& layer : report.layers) {
    EXPECT_GT(layer.signal_to_noise_db, 15.0) << "node " << layer.node;
  }
}

TEST(Quantize, GivesTheSameBitsAgain) {
  const Graph student = test::untrained("resnet8", 4);
  const QuantizedGraph once = quantize_small(student);
  EXPECT_EQ(once, quantize_small(student));
  EXPECT_EQ(once.scheme, "w8a8");
  EXPECT_EQ(once.graph.outputs.size(), 1U);
  EXPECT_TRUE(std::ranges::none_of(once.graph.nodes, [](const Node& node) {
    return node.op == Op::kBatchNorm || node.op == Op::kDropout;
  }));
}

TEST(Quantize, MeasuresTheBiasInStepsOfTheSum) {
  const Graph student = test::untrained("lenet5");
  const QuantizedGraph quantized = quantize_small(student);
  for (const Node& node : quantized.graph.nodes) {
    if (node.parameters.empty()) continue;
    const float input = quantized.activations[static_cast<std::size_t>(node.inputs[0])].scale;
    const auto& scales = quantized.weight_scales.at(node.parameters[0]);
    const auto steps = quantized.graph.tensors.at(node.parameters[1]).values<std::int32_t>();
    const auto bias = student.tensors.at(node.parameters[1]).values<float>();
    for (std::size_t i = 0; i < bias.size(); ++i) {
      EXPECT_NEAR(static_cast<float>(steps[i]) * input * scales[i], bias[i], input * scales[i]);
    }
  }
}

// image → conv → relu → flatten → linear, with one channel of the convolution at the caller's
// mercy.
Graph with_channel(float weight, float bias) {
  GraphBuilder builder("sample", {1, 16, 16}, 5);
  const int conv = builder.conv(0, {.out = 4});
  const int flat = builder.unary(builder.unary(conv, Op::kReLU), Op::kFlatten);
  Graph graph = std::move(builder).finish(builder.linear(flat, test::kClasses));
  const Node& node = graph.nodes[1];
  for (int i = 0; i < 9; ++i) {
    graph.tensors.at(node.parameters[0]).values<float>()[static_cast<std::size_t>(i)] = weight;
  }
  graph.tensors.at(node.parameters[1]).values<float>()[0] = bias;
  return graph;
}

double first_layer_db(const Graph& student) {
  const GateReport report = verify(student, quantize_small(student), test::test_images(),
                                   test::small_normalisation(), {.minimum_agreement = 0.0});
  return report.layers[1].signal_to_noise_db;
}

TEST(Quantize, CoarsensTheWeightsWhereTheBiasWouldLeave32Bits) {
  EXPECT_GT(first_layer_db(with_channel(1e-12F, 2.0F)), 30.0);
  EXPECT_GT(first_layer_db(with_channel(1e-30F, -1.0F)), 30.0);
}

TEST(Quantize, KeepsTheBiasOfAChannelWithoutWeights) {
  EXPECT_GT(first_layer_db(with_channel(0.0F, 0.7F)), 30.0);
  EXPECT_GT(first_layer_db(with_channel(0.0F, 0.0F)), 30.0);
}

TEST(Quantize, DropsTheOutputsThatAreNotShipped) {
  Graph student = test::untrained("cnn3");
  student.outputs["confidence"] = penultimate_node(student);
  const QuantizedGraph quantized = quantize_small(student);
  EXPECT_EQ(quantized, quantize_small(test::untrained("cnn3")));
}

TEST(Quantize, NamesTheBatchNormThatCannotBeFolded) {
  GraphBuilder builder("sample", {1, 16, 16}, 5);
  const int pooled = builder.pool(0, Op::kAveragePool, 2, 2);
  const int normal = builder.batch_norm(pooled);
  const Graph student =
      std::move(builder).finish(builder.linear(builder.unary(normal, Op::kFlatten), 3));
  EXPECT_THAT(error_of([&] { quantize_small(student); }),
              HasSubstr("[quantize] node '" + student.nodes[2].name + "' (BatchNorm): could not"));
}

TEST(Quantize, NamesTheSoftmaxAndTheLastLayerItHasNoKernelFor) {
  GraphBuilder builder("sample", {1, 16, 16}, 5);
  const int hidden = builder.linear(builder.unary(0, Op::kFlatten), 5);
  const int soft = builder.unary(hidden, Op::kSoftmax);
  Graph student = std::move(builder).finish(builder.linear(soft, 3));
  EXPECT_THAT(error_of([&] { quantize_small(student); }), HasSubstr("(Softmax): the integer"));
  student.outputs["logits"] = 1;
  EXPECT_THAT(error_of([&] { quantize_small(student); }), HasSubstr("must come from a Linear"));
}

TEST(Quantize, RefusesUnknownSchemesAndWeightsThatAreNotFinite) {
  const Graph student = test::untrained("mlp");
  EXPECT_THAT(error_of([&] {
                quantize(student, "w4a4", test::calibration_images(), test::small_normalisation());
              }),
              HasSubstr("unknown scheme 'w4a4', expected w8a8"));
}

}  // namespace
}  // namespace fedstill
