#include "model/tensor.h"

#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace fedstill {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;

template <typename T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::kI8;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::kI64;
}

template <typename T>
void require_type(DType dtype) {
  if (dtype == dtype_of<T>()) return;
  throw std::invalid_argument("[tensor] values are " + std::string(name(dtype)) + ", asked for " +
                              std::string(name(dtype_of<T>())));
}

}  // namespace

std::size_t byte_size(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kI8:
    case DType::kU8:
      return 1;
    case DType::kI64:
      return 8;
  }
  throw std::invalid_argument("[tensor] unknown element type");
}

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kI32:
      return "I32";
    case DType::kI8:
      return "I8";
    case DType::kU8:
      return "U8";
    case DType::kI64:
      return "I64";
  }
  throw std::invalid_argument("[tensor] unknown element type");
}

std::int64_t element_count(std::span<const std::int64_t> shape) {
  // A zero anywhere makes the tensor empty, so the sizes after an overflow still decide nothing:
  // negative sizes are looked for first, over the whole shape.
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) throw std::invalid_argument("[tensor] negative size in " + shape_text(shape));
    if (size == 0) count = 0;
  }
  if (count == 0) return 0;
  for (const std::int64_t size : shape) {
    if (count > kMaxElements / size) {
      throw std::invalid_argument("[tensor] shape " + shape_text(shape) + " has too many elements");
    }
    count *= size;
  }
  return count;
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + "]";
}

Tensor::Tensor(DType dtype, std::vector<std::int64_t> shape)
    : dtype_(dtype), shape_(std::move(shape)) {
  const auto count = static_cast<std::uint64_t>(element_count(shape_));
  const std::size_t width = byte_size(dtype_);
  if (count > bytes_.max_size() / width) {
    throw std::invalid_argument("[tensor] shape " + shape_text(shape_) + " has too many elements");
  }
  bytes_.resize(static_cast<std::size_t>(count) * width);
}

Tensor Tensor::of_floats(std::vector<std::int64_t> shape, std::span<const float> values) {
  if (element_count(shape) != static_cast<std::int64_t>(values.size())) {
    throw std::invalid_argument("[tensor] " + std::to_string(values.size()) + " values for shape " +
                                shape_text(shape));
  }
  Tensor tensor(DType::kF32, std::move(shape));
  if (!values.empty()) std::memcpy(tensor.bytes_.data(), values.data(), values.size_bytes());
  return tensor;
}

// The vector's storage comes from operator new, so it is aligned for every element type.
template <typename T>
std::span<const T> Tensor::values() const {
  require_type<T>(dtype_);
  return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
}

template <typename T>
std::span<T> Tensor::values() {
  require_type<T>(dtype_);
  return {reinterpret_cast<T*>(bytes_.data()), bytes_.size() / sizeof(T)};
}

template std::span<const float> Tensor::values() const;
template std::span<const std::int32_t> Tensor::values() const;
template std::span<const std::int8_t> Tensor::values() const;
template std::span<const std::uint8_t> Tensor::values() const;
template std::span<const std::int64_t> Tensor::values() const;
template std::span<float> Tensor::values();
template std::span<std::int32_t> Tensor::values();
template std::span<std::int8_t> Tensor::values();
template std::span<std::uint8_t> Tensor::values();
template std::span<std::int64_t> Tensor::values();

}  // namespace fedstill
