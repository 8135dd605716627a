#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "model/decode_error.h"

namespace fedstill {

// Takes values off the front of hostile bytes; every length is held against what remains before
// anything is sized by it. Throws DecodeError that begins with the origin, "[checkpoint]".
class ByteReader {
 public:
  ByteReader(std::string origin, std::span<const std::byte> bytes)
      : origin_(std::move(origin)), rest_(bytes) {}

  std::size_t remaining() const { return rest_.size(); }

  std::span<const std::byte> take(std::uint64_t count, const char* what) {
    if (count > rest_.size()) {
      fail(std::string(what) + ": found " + std::to_string(rest_.size()) +
           " bytes, expected at least " + std::to_string(count));
    }
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  template <typename T>
  T number(const char* what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  // A list's length, refused if the rest cannot hold that many.
  std::size_t length(std::size_t smallest_element, const char* what) {
    const auto count = number<std::uint64_t>(what);
    if (count > rest_.size() / smallest_element) {
      fail(std::string(what) + ": a list of " + std::to_string(count) +
           " does not fit the remaining " + std::to_string(rest_.size()) + " bytes");
    }
    return static_cast<std::size_t>(count);
  }

  [[noreturn]] void fail(const std::string& what) const { throw DecodeError(origin_ + " " + what); }

 private:
  std::string origin_;
  std::span<const std::byte> rest_;
};

}  // namespace fedstill
