#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fedstill {

// Element types a model file may hold. Persisted by name; never renumber.
enum class DType : std::uint8_t { kF32 = 0, kI32 = 1, kI8 = 2, kU8 = 3, kI64 = 4 };

std::size_t byte_size(DType dtype);
std::string_view name(DType dtype);  // The safetensors names: "F32", "I32", "I8", "U8", "I64".

// Number of elements of a shape. Throws std::invalid_argument on negative sizes or overflow of
// 2^62.
std::int64_t element_count(std::span<const std::int64_t> shape);

// "[32, 3, 3, 3]", for messages.
std::string shape_text(std::span<const std::int64_t> shape);

// Dense row-major values with a type and a shape; owns its bytes. Plain data, no arithmetic.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, std::vector<std::int64_t> shape);  // zero-filled

  static Tensor of_floats(std::vector<std::int64_t> shape, std::span<const float> values);

  DType dtype() const { return dtype_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t size() const { return element_count(shape_); }

  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<std::byte> bytes() { return bytes_; }

  // Typed views. Requires: T matches dtype(), or std::invalid_argument is thrown.
  template <typename T>
  std::span<const T> values() const;
  template <typename T>
  std::span<T> values();

  bool operator==(const Tensor&) const = default;

 private:
  DType dtype_ = DType::kF32;
  std::vector<std::int64_t> shape_{0};
  std::vector<std::byte> bytes_;
};

}  // namespace fedstill
