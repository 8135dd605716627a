#include "collective/reduce.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace fedstill {
namespace {

template <typename T>
T reduce_pair(T a, T b, Reduction reduction) {
  const std::array<const void*, 2> inputs{&a, &b};
  T result{};
  reduce(inputs, &result, 1, element_type<T>(), reduction);
  return result;
}

TEST(Reduce, AddsFromLeftToRight) {
  const float a = 1e8F, b = -1e8F, c = 1.0F;
  const std::array<const void*, 3> inputs{&a, &b, &c};
  const std::array<const void*, 3> reversed{&c, &b, &a};
  float result = 0;
  reduce(inputs, &result, 1, ElementType::kFloat32, Reduction::kSum);
  EXPECT_EQ(result, 1.0F);
  reduce(reversed, &result, 1, ElementType::kFloat32, Reduction::kSum);
  EXPECT_EQ(result, 0.0F);
}

TEST(Reduce, TheOutputMayBeAnInput) {
  for (const std::size_t ranks : {1U, 2U, 3U}) {
    for (std::size_t output = 0; output < ranks; ++output) {
      std::vector<std::vector<double>> values;
      std::vector<double> expected(5000);
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        auto& of_rank = values.emplace_back(5000);
        for (std::size_t i = 0; i < 5000; ++i)
          expected[i] += of_rank[i] = static_cast<double>(i * (rank + 1));
      }
      std::vector<const void*> inputs;
      for (const auto& each : values) inputs.push_back(each.data());
      reduce(inputs, values[output].data(), 5000, ElementType::kFloat64, Reduction::kSum);
      EXPECT_EQ(values[output], expected) << output << " of " << ranks;
    }
  }
}

TEST(Reduce, IntegersWrap) {
  const auto top = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(reduce_pair<std::int64_t>(top, 1, Reduction::kSum),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(reduce_pair<std::uint8_t>(250, 10, Reduction::kSum), 4);
  EXPECT_EQ(reduce_pair<std::int64_t>(top, top - 1, Reduction::kMin), top - 1)
      << "not by way of double";
}

TEST(Reduce, EveryBfloat16SurvivesAlone) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Bfloat16 value{static_cast<std::uint16_t>(bits)};
    const std::array<const void*, 1> inputs{&value};
    Bfloat16 result;
    reduce(inputs, &result, 1, ElementType::kBfloat16, Reduction::kSum);
    const bool is_nan = (bits & 0x7fffU) > 0x7f80U;
    EXPECT_EQ(result.bits, is_nan ? bits | 0x40U : bits);
  }
}

TEST(Reduce, Bfloat16RoundsOnceToNearestEven) {
  const Bfloat16 one{0x3f80}, half_step{0x3b80}, quarter_step{0x3b00};  // 1, 2^-8, 2^-9
  EXPECT_EQ(reduce_pair(one, half_step, Reduction::kSum).bits, 0x3f80) << "a tie goes to even";
  const std::array<const void*, 3> inputs{&one, &half_step, &quarter_step};
  Bfloat16 result;
  reduce(inputs, &result, 1, ElementType::kBfloat16, Reduction::kSum);
  EXPECT_EQ(result.bits, 0x3f81) << "rounding after each addition would have lost both";
  EXPECT_EQ(reduce_pair(Bfloat16{0x7f7f}, Bfloat16{0x7f7f}, Reduction::kSum).bits, 0x7f80)
      << "infinity";
}

TEST(Reduce, NanWinsMaxAndMinFromEitherSide) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Reduction reduction : {Reduction::kMax, Reduction::kMin, Reduction::kSum}) {
    EXPECT_TRUE(std::isnan(reduce_pair(nan, 1.0, reduction)));
    EXPECT_TRUE(std::isnan(reduce_pair(1.0, nan, reduction)));
  }
  EXPECT_EQ(reduce_pair(-0.5, 0.25, Reduction::kMax), 0.25);
  EXPECT_EQ(reduce_pair(-0.5, 0.25, Reduction::kMin), -0.5);
}

}  // namespace
}  // namespace fedstill
