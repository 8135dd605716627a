#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fedstill {

enum class ElementType { kFloat32, kFloat64, kBfloat16, kInt64, kUint8 };

std::size_t element_size(ElementType type);  // in bytes
const char* element_name(ElementType type);

// A borrowed run of numbers that somebody else owns, as the ranks of a job exchange them.
struct Elements {
  void* data = nullptr;
  std::size_t count = 0;
  ElementType type = ElementType::kFloat32;

  std::size_t bytes() const { return count * element_size(type); }
};

struct ConstElements {
  const void* data = nullptr;
  std::size_t count = 0;
  ElementType type = ElementType::kFloat32;

  ConstElements() = default;
  ConstElements(const void* data_, std::size_t count_, ElementType type_)
      : data(data_), count(count_), type(type_) {}
  ConstElements(const Elements& elements)  // NOLINT: a view of what may be written may be read
      : data(elements.data), count(elements.count), type(elements.type) {}
  std::size_t bytes() const { return count * element_size(type); }
};

// The upper 16 bits of a float32.
struct Bfloat16 {
  std::uint16_t bits = 0;
};

template <typename T>
constexpr ElementType element_type() {
  if constexpr (std::same_as<T, float>) {
    return ElementType::kFloat32;
  } else if constexpr (std::same_as<T, double>) {
    return ElementType::kFloat64;
  } else if constexpr (std::same_as<T, Bfloat16>) {
    return ElementType::kBfloat16;
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return ElementType::kInt64;
  } else {
    static_assert(std::same_as<T, std::uint8_t>, "no rank can exchange this type");
    return ElementType::kUint8;
  }
}

// elements(values) for a vector, array or span of one of the five types.
template <typename Range>
auto elements(Range& range) {
  const std::span values(range);
  using T = typename decltype(values)::element_type;
  constexpr ElementType kType = element_type<std::remove_const_t<T>>();
  if constexpr (std::is_const_v<T>) {
    return ConstElements(values.data(), values.size(), kType);
  } else {
    return Elements{values.data(), values.size(), kType};
  }
}

}  // namespace fedstill
