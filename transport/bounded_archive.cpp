#include "transport/bounded_archive.h"

#include <algorithm>

#include "model/decode_error.h"

namespace fedstill {

BoundedInputArchive::BoundedInputArchive(std::span<const std::byte> bytes,
                                         const ArchiveLimits& limits)
    : InputArchive(this), rest_(bytes), limits_(limits), elements_left_(limits.max_elements) {
  if (bytes.size() > limits.max_bytes) {
    throw DecodeError("[archive] message of " + std::to_string(bytes.size()) +
                      " bytes exceeds limit " + std::to_string(limits.max_bytes));
  }
}

std::uint64_t BoundedInputArchive::take_integer(std::size_t width) {
  std::uint64_t value = 0;
  const auto bytes = take(width);
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return value;
}

bool BoundedInputArchive::take_bool() {
  const std::uint64_t value = take_integer(1);
  if (value > 1) {
    throw DecodeError("[archive] truth value: found " + std::to_string(value) +
                      ", expected 0 or 1");
  }
  return value == 1;
}

std::uint64_t BoundedInputArchive::take_size() {
  const std::uint64_t size = take_integer(8);
  const std::size_t limit = std::min(elements_left_, rest_.size());
  if (size > limit) {
    throw DecodeError("[archive] container of " + std::to_string(size) +
                      " elements, expected at most " + std::to_string(limit));
  }
  elements_left_ -= static_cast<std::size_t>(size);
  return size;
}

void BoundedInputArchive::take_string(std::string& text) {
  const std::uint64_t size = take_integer(8);
  const std::size_t limit = std::min(limits_.max_string, rest_.size());
  if (size > limit) {
    throw DecodeError("[archive] string of " + std::to_string(size) + " bytes, expected at most " +
                      std::to_string(limit));
  }
  const auto bytes = take(static_cast<std::size_t>(size));
  text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void BoundedInputArchive::expect_end() const {
  if (!rest_.empty()) {
    throw DecodeError("[archive] " + std::to_string(rest_.size()) + " bytes left over");
  }
}

std::span<const std::byte> BoundedInputArchive::take(std::size_t count) {
  if (count > rest_.size()) {
    throw DecodeError("[archive] " + std::to_string(rest_.size()) + " bytes left, expected " +
                      std::to_string(count));
  }
  const auto bytes = rest_.first(count);
  rest_ = rest_.subspan(count);
  return bytes;
}

LittleEndianOutputArchive::LittleEndianOutputArchive(std::vector<std::byte>& out)
    : OutputArchive(this), out_(out) {}

void LittleEndianOutputArchive::put_integer(std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) out_.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void LittleEndianOutputArchive::put_string(const std::string& text) {
  put_integer(text.size(), 8);
  const auto bytes = std::as_bytes(std::span(text));
  out_.insert(out_.end(), bytes.begin(), bytes.end());
}

}  // namespace fedstill
