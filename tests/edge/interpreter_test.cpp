#include "compression/edge/interpreter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compression/edge/kernels.h"
#include "tests/edge/naive_evaluator.h"
#include "tests/edge/random_network.h"
#include "tests/support/error_of.h"

namespace fedstill {
namespace {

using test::NaiveEvaluator;
using test::random_image;
using test::RandomNetwork;
using ::testing::HasSubstr;
using tests::error_of;

std::vector<int> as_ints(std::span<const std::uint8_t> codes) {
  return {codes.begin(), codes.end()};
}

// Every node's codes and the logits, bit for bit, with every set of kernels this machine has.
void expect_exact(const QuantizedGraph& model, std::uint64_t seed, std::uint64_t images = 3) {
  const int logits = model.graph.output("logits");
  for (const Kernels* kernels : available_kernels()) {
    Interpreter interpreter(model, *kernels);
    for (std::uint64_t image = 0; image < images; ++image) {
      SCOPED_TRACE(std::string(kernels->name) + ", image " + std::to_string(image));
      const std::vector<float> pixels = random_image(model, derive_key(seed, image));
      NaiveEvaluator naive(model);
      const std::vector<float> expected = naive.run(pixels);
      const std::span<const float> got = interpreter.run(pixels);
      for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
        if (static_cast<int>(i) == logits) continue;
        const int fused = fused_activation(model.graph, static_cast<int>(i));
        const std::size_t as = fused < 0 ? i : static_cast<std::size_t>(fused);
        ASSERT_EQ(as_ints(interpreter.codes(static_cast<int>(i))), naive.codes(as))
            << "node " << model.graph.nodes[i].name;
      }
      ASSERT_EQ(std::vector<float>(got.begin(), got.end()), expected);
    }
  }
}

Attributes conv(std::int64_t out, std::int64_t kernel, std::int64_t stride = 1,
                std::int64_t padding = 0, std::int64_t groups = 1, std::int64_t dilation = 1) {
  Attributes a;
  a.out_features = out;
  a.kernel = {kernel, kernel};
  a.stride = {stride, stride};
  a.padding = {padding, padding};
  a.dilation = {dilation, dilation};
  a.groups = groups;
  return a;
}

Attributes pooling(std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0) {
  return conv(0, kernel, stride, padding);
}

Attributes along(std::int64_t axis, std::int64_t begin = 0, std::int64_t end = 0) {
  Attributes a;
  a.axis = axis;
  a.begin = begin;
  a.end = end;
  return a;
}

struct ConvCase {
  std::int64_t channels;
  Attributes attributes;
};

class Convolution : public ::testing::TestWithParam<ConvCase> {};

TEST_P(Convolution, EqualsTheNaiveSum) {
  RandomNetwork network({GetParam().channels, 9, 11}, 17);
  network.add(Op::kConv2d, 0, GetParam().attributes);
  expect_exact(std::move(network).finish(), 5);
}

Attributes rectangular() {
  Attributes a = conv(5, 3);
  a.kernel = {3, 2};
  a.stride = {1, 2};
  a.padding = {0, 3};
  a.dilation = {2, 3};
  return a;
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Convolution,
    ::testing::Values(ConvCase{1, conv(1, 1)}, ConvCase{1, conv(8, 3, 2, 1)},
                      ConvCase{3, conv(33, 3, 1, 1)}, ConvCase{16, conv(48, 1)},
                      ConvCase{5, conv(17, 5, 2, 2)}, ConvCase{7, conv(16, 3, 1, 2)},
                      ConvCase{4, conv(6, 3, 1, 2, 1, 2)}, ConvCase{6, conv(9, 3, 1, 1, 3)},
                      ConvCase{6, conv(12, 3, 2, 2, 2, 2)}, ConvCase{4, conv(8, 3, 1, 1, 4)},
                      ConvCase{40, conv(40, 3, 1, 1, 40)}, ConvCase{3, conv(3, 5, 2, 2, 3)},
                      ConvCase{16, conv(16, 3, 1, 2, 16, 2)}, ConvCase{3, rectangular()},
                      ConvCase{2, conv(70, 9, 1, 0)}));

TEST(Interpreter, ClampsLayersAndAddsByTheActivationBehindThem) {
  RandomNetwork network({3, 8, 8}, 3);
  Attributes six;
  const int a = network.add(Op::kReLU, network.add(Op::kConv2d, 0, conv(16, 3, 1, 1)));
  const int b = network.add(Op::kClip, network.add(Op::kConv2d, a, conv(16, 3, 1, 1)), six);
  network.add(Op::kReLU, network.add(Op::kAdd, {a, b}));
  Attributes hidden;
  hidden.out_features = 20;
  network.add(Op::kReLU, network.add(Op::kLinear,
                                     network.add(Op::kGlobalAveragePool, network.last()), hidden));
  expect_exact(std::move(network).finish(), 1);
}

TEST(Interpreter, LeavesALayerWithTwoReadersUnclamped) {
  RandomNetwork network({2, 6, 6}, 8);
  const int layer = network.add(Op::kConv2d, 0, conv(8, 3, 1, 1));
  network.add(Op::kAdd, {layer, network.add(Op::kReLU, layer)});
  expect_exact(std::move(network).finish(), 2);
}

TEST(Interpreter, PoolsWithAndWithoutPadding) {
  for (const Op op : {Op::kMaxPool, Op::kAveragePool}) {
    RandomNetwork network({19, 10, 7}, 4);
    network.add(op, 0, pooling(2, 2));
    network.add(op, network.last(), pooling(3, 1, 1));
    network.add(op, network.last(), pooling(4, 2, 2));
    expect_exact(std::move(network).finish(), 3);
  }
}

TEST(Interpreter, MovesCodesAround) {
  RandomNetwork network({6, 4, 5}, 9);
  const int joined = network.add(
      Op::kConcat, {network.add(Op::kTanh, 0), 0, network.add(Op::kSlice, 0, along(0, 1, 4))},
      along(0));
  const int rows = network.add(Op::kConcat, {joined, joined}, along(1));
  const int columns = network.add(Op::kConcat, {rows, network.add(Op::kSigmoid, rows)}, along(2));
  network.add(Op::kSlice, network.add(Op::kSlice, columns, along(1, 2, 7)), along(2, 3, 9));
  Attributes twice, shape;
  twice.scale = 2;
  network.add(Op::kUpsample, network.last(), twice);
  shape.shape = {10, 3, 60};
  network.add(Op::kReshape, network.add(Op::kUpsample, network.last(), twice), [&] {
    shape.shape = {30, 12, 20};
    return shape;
  }());
  network.add(Op::kConv2d, network.last(), conv(4, 3, 2));
  expect_exact(std::move(network).finish(), 6);
}

TEST(Interpreter, LooksActivationsUp) {
  for (const Op op : {Op::kReLU, Op::kClip, Op::kLeakyReLU, Op::kHardSwish, Op::kHardSigmoid,
                      Op::kSigmoid, Op::kTanh}) {
    SCOPED_TRACE(op_name(op));
    RandomNetwork network({3, 9, 9}, 21);
    network.add(Op::kMul, {0, network.add(op, 0)});
    expect_exact(std::move(network).finish(), 7);
  }
}

// Grows a network of random operators on images; whatever does not fit is left out.
QuantizedGraph random_network(std::uint64_t seed) {
  RandomNetwork network({1 + static_cast<std::int64_t>(seed % 5), 12, 10}, seed);
  while (network.last() < 14) {
    const int from = static_cast<int>(network.below(network.last() + 1));
    const SampleShape shape = network.shape(from);
    if (shape.size() != 3) continue;
    const std::int64_t fits = std::min<std::int64_t>({shape[1], shape[2], 3});
    const std::int64_t stride = 1 + network.below(2), padding = network.below(fits);
    switch (network.below(9)) {
      case 0:
      case 1:
        network.add(Op::kConv2d, from, conv(1 + network.below(40), fits, stride, padding));
        break;
      case 2:
        network.add(Op::kConv2d, from, conv(shape[0], fits, stride, padding, shape[0]));
        break;
      case 3:
        network.add(Op::kReLU, from);
        break;
      case 4:
        network.add(Op::kClip, from);
        break;
      case 5:
        network.add(network.below(2) ? Op::kMaxPool : Op::kAveragePool, from,
                    pooling(fits, stride, std::min(padding, fits / 2)));
        break;
      case 6:
        network.add(network.below(2) ? Op::kAdd : Op::kMul,
                    {from, network.add(Op::kConv2d, from, conv(shape[0], 1))});
        break;
      case 7:
        network.add(Op::kConcat, {from, network.add(Op::kHardSwish, from)},
                    along(network.below(3)));
        break;
      default:
        network.add(Op::kGlobalAveragePool, from);
        break;
    }
  }
  return std::move(network).finish();
}

TEST(Interpreter, EqualsTheNaiveEvaluatorOnRandomNetworks) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    expect_exact(random_network(seed), seed, 1);
    if (HasFatalFailure()) return;
  }
}

// One output by hand: x = 0.5 and −0.25 at scale 0.25, zero point 4 give the codes 6 and 3; the
// layer 3·x0 − 2·x1 + 1 has 3·2 − 2·(−1) + 1 = 9 steps of 0.25 · 0.5.
TEST(Interpreter, ComputesAKnownAnswer) {
  QuantizedGraph model;
  model.scheme = "w8a8";
  Attributes two, one;
  two.shape = {2};
  one.out_features = 1;
  model.graph.nodes = {{"image", Op::kInput, {}, {}, two},
                       {"last", Op::kLinear, {0}, {"w", "b"}, one}};
  model.graph.outputs["logits"] = 1;
  Tensor weight(DType::kI8, {1, 2}), bias(DType::kI32, {1});
  weight.values<std::int8_t>()[0] = 3;
  weight.values<std::int8_t>()[1] = -2;
  bias.values<std::int32_t>()[0] = 1;
  model.graph.tensors = {{"w", weight}, {"b", bias}};
  model.weight_scales["w"] = {0.5F};
  model.activations = {{0.25F, 4}, {1.0F, 0}};
  Interpreter interpreter(model);
  const std::vector<float> image{0.5F, -0.25F};
  EXPECT_EQ(interpreter.run(image)[0], 1.125F);
  EXPECT_EQ(as_ints(interpreter.codes(0)), (std::vector<int>{6, 3}));
  EXPECT_TRUE(interpreter.codes(1).empty());
  const std::vector<float> odd{0.625F, -0.375F};  // halves go to the even code: 2.5 → 2, −1.5 → −2
  interpreter.run(odd);
  EXPECT_EQ(as_ints(interpreter.codes(0)), (std::vector<int>{6, 2}));
}

TEST(Interpreter, NamesTheNodeItCannotRun) {
  RandomNetwork network({4}, 2);
  network.add(Op::kSoftmax, 0);
  const QuantizedGraph model = std::move(network).finish();
  EXPECT_THAT(error_of([&] { Interpreter interpreter(model); }),
              HasSubstr("[interpreter] node 'Softmax1' (Softmax): "));
}

TEST(Interpreter, RefusesSumsBeyond32Bits) {
  RandomNetwork network({4}, 2);
  QuantizedGraph model = std::move(network).finish();
  Tensor bias(DType::kI32, {10});
  bias.values<std::int32_t>()[3] = 2'147'483'600;
  Node& last = model.graph.nodes.back();
  last.parameters = {last.parameters[0], "bias"};
  model.graph.tensors = {{last.parameters[0], model.graph.tensors.at(last.parameters[0])},
                         {"bias", bias}};
  EXPECT_THAT(error_of([&] { Interpreter interpreter(model); }), HasSubstr("32 bits"));
}

TEST(Interpreter, RefusesAHugeBorder) {
  RandomNetwork network({1, 2, 2}, 2);
  network.add(Op::kConv2d, 0, conv(1, 3, 9'000, 10'000, 1, 5'000));
  const QuantizedGraph model = std::move(network).finish();
  EXPECT_THAT(error_of([&] { Interpreter interpreter(model); }), HasSubstr("256 MiB"));
}

// Each border alone would do.
TEST(Interpreter, RefusesManyLargeBorders) {
  RandomNetwork network({1, 2, 2}, 2);
  int node = 0;
  for (int i = 0; i < 20; ++i)
    node = network.add(Op::kConv2d, node, conv(1, 2, 2'000, 2'000, 1, 2'000));
  const QuantizedGraph model = std::move(network).finish();
  EXPECT_THAT(error_of([&] { Interpreter interpreter(model); }), HasSubstr("256 MiB"));
}

TEST(Interpreter, RefusesHugeActivations) {
  RandomNetwork network({1, 2, 2}, 2);
  Attributes larger;
  larger.scale = 10'000;
  network.add(Op::kMaxPool, network.add(Op::kUpsample, 0, larger), pooling(20'000, 1));
  const QuantizedGraph model = std::move(network).finish();
  EXPECT_THAT(error_of([&] { Interpreter interpreter(model); }),
              HasSubstr("node 'Upsample1' (Upsample): activations exceed 256 MiB"));
}

TEST(Interpreter, RefusesAnImageOfAnotherSizeAndAnUnknownNode) {
  RandomNetwork network({1, 4, 4}, 2);
  const QuantizedGraph model = std::move(network).finish();
  Interpreter interpreter(model);
  EXPECT_THAT(error_of([&] { interpreter.run(std::vector<float>(15)); }),
              HasSubstr("15 values, expected 16"));
  EXPECT_THAT(error_of([&] { interpreter.run_codes(std::vector<std::uint8_t>(17)); }),
              HasSubstr("17 codes, expected 16"));
  EXPECT_THAT(error_of([&] { interpreter.codes(3); }), HasSubstr("no node 3"));
  EXPECT_THAT(error_of([&] { interpreter.codes(-1); }), HasSubstr("no node -1"));
}

}  // namespace
}  // namespace fedstill
