#include "collective/reduce.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace fedstill {
namespace {

constexpr std::size_t kBlock =
    2048;  // elements whose partial results stay in the first-level cache

template <typename T>
struct Exact {  // accumulates in the type itself
  using Stored = T;
  using Sum = T;
  static Sum load(Stored value) { return value; }
  static Stored store(Sum value) { return value; }
};

struct Narrow {
  using Stored = std::uint16_t;
  using Sum = float;
  static float load(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  static std::uint16_t store(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
    // Rounding could carry a NaN's payload into an infinity or past the sign.
    const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
    return static_cast<std::uint16_t>((is_nan ? bits | 0x400000U : rounded) >> 16);
  }
};

struct Add {
  template <typename T>
  static T apply(T a, T b) {
    if constexpr (std::is_same_v<T, std::int64_t>) {  // signed overflow is undefined, this is not
      return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    } else {
      return static_cast<T>(a + b);
    }
  }
};

// Bitwise operators, as the compiler makes vector code of them. a != a: the first NaN stays.
struct Max {
  template <typename T>
  static T apply(T a, T b) {
    return (a >= b) | (a != a) ? a : b;
  }
};

struct Min {
  template <typename T>
  static T apply(T a, T b) {
    return (a <= b) | (a != a) ? a : b;
  }
};

// One pass: nothing but the memory's speed counts here. `output` may be one of the inputs, since
// each element is read before it is written.
template <typename Number, typename Apply>
void reduce_two(const typename Number::Stored* a, const typename Number::Stored* b,
                typename Number::Stored* output, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    output[i] = Number::store(Apply::apply(Number::load(a[i]), Number::load(b[i])));
}

template <typename Number, typename Apply>
void reduce_as(std::span<const void* const> inputs, void* output, std::size_t count) {
  using Stored = typename Number::Stored;
  const auto values = [&](std::size_t input) { return static_cast<const Stored*>(inputs[input]); };
  auto* const out = static_cast<Stored*>(output);
  if (inputs.size() == 2) return reduce_two<Number, Apply>(values(0), values(1), out, count);
  std::array<typename Number::Sum, kBlock> sums;
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t length = std::min(kBlock, count - begin);
    for (std::size_t i = 0; i < length; ++i) sums[i] = Number::load(values(0)[begin + i]);
    for (std::size_t input = 1; input < inputs.size(); ++input) {
      const Stored* const more = values(input) + begin;
      for (std::size_t i = 0; i < length; ++i)
        sums[i] = Apply::apply(sums[i], Number::load(more[i]));
    }
    for (std::size_t i = 0; i < length; ++i) out[begin + i] = Number::store(sums[i]);
  }
}

template <typename Number>
void reduce_number(std::span<const void* const> inputs, void* output, std::size_t count,
                   Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
      return reduce_as<Number, Add>(inputs, output, count);
    case Reduction::kMax:
      return reduce_as<Number, Max>(inputs, output, count);
    case Reduction::kMin:
      return reduce_as<Number, Min>(inputs, output, count);
  }
}

}  // namespace

void reduce(std::span<const void* const> inputs, void* output, std::size_t count, ElementType type,
            Reduction reduction) {
  switch (type) {
    case ElementType::kFloat32:
      return reduce_number<Exact<float>>(inputs, output, count, reduction);
    case ElementType::kFloat64:
      return reduce_number<Exact<double>>(inputs, output, count, reduction);
    case ElementType::kBfloat16:
      return reduce_number<Narrow>(inputs, output, count, reduction);
    case ElementType::kInt64:
      return reduce_number<Exact<std::int64_t>>(inputs, output, count, reduction);
    case ElementType::kUint8:
      return reduce_number<Exact<std::uint8_t>>(inputs, output, count, reduction);
  }
}

}  // namespace fedstill
