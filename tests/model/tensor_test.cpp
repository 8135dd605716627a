#include "model/tensor.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace fedstill {
namespace {

using Shape = std::vector<std::int64_t>;

TEST(Tensor, StartsWithZerosOfItsShape) {
  const Tensor tensor(DType::kI32, {2, 3});
  EXPECT_EQ(tensor.size(), 6);
  EXPECT_EQ(tensor.bytes().size(), 24U);
  for (const std::int32_t value : tensor.values<std::int32_t>()) EXPECT_EQ(value, 0);
}

TEST(Tensor, KeepsFloatsInRowMajorOrder) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor tensor = Tensor::of_floats({2, 3}, values);
  EXPECT_EQ(std::vector<float>(tensor.values<float>().begin(), tensor.values<float>().end()),
            values);
  EXPECT_THROW(Tensor::of_floats({2, 2}, values), std::invalid_argument);
}

TEST(Tensor, IsEmptyByDefaultAndForZeroSizes) {
  EXPECT_EQ(Tensor().size(), 0);
  EXPECT_TRUE(Tensor().values<float>().empty());
  EXPECT_EQ(Tensor(DType::kU8, {3, 0}).bytes().size(), 0U);
  EXPECT_EQ(Tensor::of_floats({0}, {}), Tensor());
}

TEST(Tensor, ScalarHasOneElement) { EXPECT_EQ(Tensor(DType::kI64, {}).bytes().size(), 8U); }

TEST(Tensor, RefusesAViewOfAnotherType) {
  Tensor tensor(DType::kI8, {4});
  EXPECT_NO_THROW(tensor.values<std::int8_t>());
  EXPECT_THROW(tensor.values<float>(), std::invalid_argument);
  EXPECT_THROW(tensor.values<std::uint8_t>(), std::invalid_argument);
}

TEST(Tensor, ComparesTypeShapeAndValues) {
  Tensor tensor(DType::kF32, {2});
  Tensor other = tensor;
  EXPECT_EQ(tensor, other);
  other.values<float>()[1] = 1.0F;
  EXPECT_NE(tensor, other);
  EXPECT_NE(tensor, Tensor(DType::kI32, {2}));
  EXPECT_NE(tensor, Tensor(DType::kF32, {2, 1}));
}

TEST(Tensor, RefusesAShapeItCannotHold) {
  EXPECT_THROW(Tensor(DType::kI64, {std::int64_t{1} << 62}), std::invalid_argument);
  EXPECT_THROW(Tensor(DType::kF32, {-1}), std::invalid_argument);
}

TEST(ElementCount, MultipliesSizes) {
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{3, 4, 5}), 60);
  EXPECT_EQ(element_count(Shape{std::int64_t{1} << 31, std::int64_t{1} << 31}),
            std::int64_t{1} << 62);
}

TEST(ElementCount, IsZeroWhereverTheZeroStands) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(element_count(Shape{0, huge, huge}), 0);
  EXPECT_EQ(element_count(Shape{huge, huge, 0}), 0);
}

TEST(ElementCount, RefusesNegativeSizesAndOverflow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_THROW(element_count(Shape{0, -1}), std::invalid_argument);
  EXPECT_THROW(element_count(Shape{huge, 2}), std::invalid_argument);
  EXPECT_THROW(element_count(Shape{INT64_MAX}), std::invalid_argument);
  EXPECT_THROW(element_count(Shape{INT64_MIN, INT64_MIN}), std::invalid_argument);
}

TEST(DTypes, HaveTheNamesAndSizesOfSafetensors) {
  EXPECT_EQ(name(DType::kF32), "F32");
  EXPECT_EQ(name(DType::kI64), "I64");
  EXPECT_EQ(byte_size(DType::kI64), 8U);
  EXPECT_EQ(byte_size(DType::kI8), 1U);
  EXPECT_THROW(name(static_cast<DType>(9)), std::invalid_argument);
  EXPECT_THROW(byte_size(static_cast<DType>(9)), std::invalid_argument);
}

TEST(ShapeText, ReadsLikeAList) {
  EXPECT_EQ(shape_text(Shape{32, 3, 3}), "[32, 3, 3]");
  EXPECT_EQ(shape_text(Shape{}), "[]");
}

}  // namespace
}  // namespace fedstill
