#include "model/shapes.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace fedstill {
namespace {

using Inputs = std::vector<SampleShape>;

Node node_of(Op op, const Attributes& attributes = {}) {
  return {.name = "n", .op = op, .inputs = {}, .parameters = {}, .attributes = attributes};
}

SampleShape shape_of(Op op, const Inputs& inputs, const Attributes& attributes = {}) {
  return node_shape(node_of(op, attributes), inputs);
}

#define EXPECT_REFUSED(expression) EXPECT_THROW(expression, std::invalid_argument)

TEST(Shapes, ConvolutionCountsPaddingStrideAndDilation) {
  Attributes a{.kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}, .dilation = {2, 3}};
  a.out_features = 5;
  EXPECT_EQ(shape_of(Op::kConv2d, {{4, 9, 7}}, a), (SampleShape{5, 4, 4}));
  EXPECT_REFUSED(shape_of(Op::kConv2d, {{4, 9}}, a));
  EXPECT_REFUSED(shape_of(Op::kConv2d, {{4, 9, 3}}, a));
}

TEST(Shapes, APaddedInputHasLimitsToo) {
  const Attributes a{.stride = {1 << 18, 1 << 18}, .padding = {1 << 18, 1 << 18}};
  EXPECT_REFUSED(shape_of(Op::kMaxPool, {{2, 9, 9}}, a));
  EXPECT_REFUSED(shape_of(Op::kConv2d, {{2, 9, 9}}, a));
}

// Against the plain definition: positions a window can take.
TEST(Shapes, WindowsAreCountedAsTheyFit) {
  for (std::int64_t size = 1; size <= 9; ++size) {
    for (std::int64_t kernel = 1; kernel <= 4; ++kernel) {
      for (std::int64_t stride = 1; stride <= 3; ++stride) {
        for (std::int64_t padding = 0; padding <= kernel / 2; ++padding) {
          std::int64_t count = 0;
          for (std::int64_t at = 0; at + kernel <= size + 2 * padding; at += stride) ++count;
          Attributes a{.kernel = {kernel, kernel}, .stride = {stride, stride}};
          a.padding = {padding, padding};
          if (count == 0) {
            EXPECT_REFUSED(shape_of(Op::kMaxPool, {{2, size, size}}, a));
          } else {
            EXPECT_EQ(shape_of(Op::kMaxPool, {{2, size, size}}, a), (SampleShape{2, count, count}));
          }
        }
      }
    }
  }
}

TEST(Shapes, PoolPaddingIsAtMostHalfOfTheKernel) {
  for (const Op op : {Op::kMaxPool, Op::kAveragePool}) {
    EXPECT_REFUSED(shape_of(op, {{2, 8, 8}}, {.kernel = {2, 2}, .padding = {2, 0}}));
    EXPECT_REFUSED(shape_of(op, {{2, 8, 8}}, {.kernel = {3, 3}, .padding = {0, 2}}));
    EXPECT_NO_THROW(shape_of(op, {{2, 8, 8}}, {.kernel = {2, 3}, .padding = {1, 1}}));
  }
}

TEST(Shapes, LinearReadsVectors) {
  Attributes a;
  a.out_features = 10;
  EXPECT_EQ(shape_of(Op::kLinear, {{84}}, a), (SampleShape{10}));
  EXPECT_REFUSED(shape_of(Op::kLinear, {{84, 1, 1}}, a));
  EXPECT_REFUSED(shape_of(Op::kLinear, {{}}, a));
}

TEST(Shapes, FlattenAndGlobalPoolMakeVectors) {
  EXPECT_EQ(shape_of(Op::kFlatten, {{3, 4, 5}}), (SampleShape{60}));
  EXPECT_EQ(shape_of(Op::kFlatten, {{}}), (SampleShape{1}));
  EXPECT_EQ(shape_of(Op::kGlobalAveragePool, {{3, 4, 5}}), (SampleShape{3}));
  EXPECT_REFUSED(shape_of(Op::kGlobalAveragePool, {{3}}));
}

TEST(Shapes, ReshapeKeepsTheNumberOfElements) {
  EXPECT_EQ(shape_of(Op::kReshape, {{3, 4}}, {.shape = {2, 6}}), (SampleShape{2, 6}));
  EXPECT_EQ(shape_of(Op::kReshape, {{1}}, {.shape = {}}), (SampleShape{}));
  EXPECT_REFUSED(shape_of(Op::kReshape, {{3, 4}}, {.shape = {2, 5}}));
  EXPECT_REFUSED(shape_of(Op::kReshape, {{4}}, {.shape = {2, 2, 1, 1, 1}}));
  const std::int64_t huge = std::int64_t{1} << 30;  // the product overflows to 2^60 = 16 · 2^56
  EXPECT_REFUSED(shape_of(Op::kReshape, {{16}}, {.shape = {huge, huge, huge, huge}}));
}

TEST(Shapes, AddAndMulNeedEqualShapes) {
  EXPECT_EQ(shape_of(Op::kAdd, {{3, 4}, {3, 4}}), (SampleShape{3, 4}));
  EXPECT_REFUSED(shape_of(Op::kAdd, {{3, 4}, {3, 1}}));
  EXPECT_REFUSED(shape_of(Op::kMul, {{3, 4}, {3}}));
}

TEST(Shapes, ConcatJoinsAlongItsAxis) {
  EXPECT_EQ(shape_of(Op::kConcat, {{3, 4}, {5, 4}, {1, 4}}), (SampleShape{9, 4}));
  EXPECT_EQ(shape_of(Op::kConcat, {{3, 4}, {3, 2}}, {.axis = 1}), (SampleShape{3, 6}));
  EXPECT_REFUSED(shape_of(Op::kConcat, {{3, 4}, {3, 2}}));
  EXPECT_REFUSED(shape_of(Op::kConcat, {{3, 4}, {3}}));
  EXPECT_REFUSED(shape_of(Op::kConcat, {}));
  EXPECT_REFUSED(shape_of(Op::kConcat, {{3, 4}, {3, 4}}, {.axis = 2}));
  EXPECT_REFUSED(shape_of(Op::kConcat, {{3, 4}, {3, 4}}, {.axis = -1}));
}

TEST(Shapes, SliceStaysWithinItsInput) {
  EXPECT_EQ(shape_of(Op::kSlice, {{3, 4}}, {.axis = 1, .begin = 1, .end = 4}), (SampleShape{3, 3}));
  EXPECT_REFUSED(shape_of(Op::kSlice, {{3, 4}}, {.begin = 1, .end = 4}));
  EXPECT_REFUSED(shape_of(Op::kSlice, {{3, 4}}, {.begin = -1, .end = 2}));
  EXPECT_REFUSED(shape_of(Op::kSlice, {{3, 4}}, {.begin = 2, .end = 2}));
}

TEST(Shapes, UpsampleScalesHeightAndWidth) {
  EXPECT_EQ(shape_of(Op::kUpsample, {{3, 4, 5}}, {.scale = 3}), (SampleShape{3, 12, 15}));
  EXPECT_REFUSED(shape_of(Op::kUpsample, {{3, 4, 5}}, {.scale = 0}));
  EXPECT_REFUSED(shape_of(Op::kUpsample, {{3}}));
}

TEST(Shapes, PointwiseOperatorsKeepTheShape) {
  for (const Op op : {Op::kReLU, Op::kClip, Op::kLeakyReLU, Op::kHardSwish, Op::kHardSigmoid,
                      Op::kSigmoid, Op::kTanh, Op::kDropout, Op::kSoftmax, Op::kBatchNorm}) {
    EXPECT_EQ(shape_of(op, {{3, 4, 5}}), (SampleShape{3, 4, 5})) << op_name(op);
  }
  EXPECT_REFUSED(shape_of(Op::kSoftmax, {{}}));
  EXPECT_REFUSED(shape_of(Op::kBatchNorm, {{}}));
  EXPECT_EQ(shape_of(Op::kSigmoid, {{}}), (SampleShape{}));
}

TEST(Shapes, FloatAttributesMustBeSensible) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_REFUSED(shape_of(Op::kClip, {{3}}, {.low = 1.0F, .high = 0.0F}));
  EXPECT_REFUSED(shape_of(Op::kClip, {{3}}, {.low = nan}));
  EXPECT_REFUSED(shape_of(Op::kLeakyReLU, {{3}}, {.slope = nan}));
  EXPECT_REFUSED(shape_of(Op::kDropout, {{3}}, {.rate = 1.0F}));
  EXPECT_REFUSED(shape_of(Op::kDropout, {{3}}, {.rate = nan}));
}

TEST(Shapes, ParametersFollowTheGroups) {
  Attributes a{.kernel = {3, 5}, .groups = 2};
  a.out_features = 8;
  const auto all = parameter_shapes(node_of(Op::kConv2d, a), {6, 9, 9});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].shape, (std::vector<std::int64_t>{8, 3, 3, 5}));
  EXPECT_EQ(all[1].shape, (std::vector<std::int64_t>{8}));
  EXPECT_EQ(parameter_shapes(node_of(Op::kBatchNorm), {6, 9, 9}).size(), 4U);
  EXPECT_TRUE(parameter_shapes(node_of(Op::kReLU), {6}).empty());
}

}  // namespace
}  // namespace fedstill
