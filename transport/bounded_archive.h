#pragma once

#include <cereal/cereal.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "transport/archive.h"

namespace fedstill {

// cereal over hostile bytes. cereal itself resizes a container to whatever size the bytes claim;
// here every size passes take_size() first. Integers are little-endian of their own width, a bool
// is one byte of 0 or 1, a container or string is preceded by its size as u64. There is nothing to
// load pointers, polymorphic types, floating point or raw binary data with, so a message holding
// one does not compile.
class BoundedInputArchive : public cereal::InputArchive<BoundedInputArchive> {
 public:
  BoundedInputArchive(std::span<const std::byte> bytes, const ArchiveLimits& limits);

  std::uint64_t take_integer(std::size_t width);
  bool take_bool();
  std::uint64_t take_size();  // of a container whose elements take at least one byte each
  void take_string(std::string& text);
  void expect_end() const;

 private:
  std::span<const std::byte> take(std::size_t count);
  std::span<const std::byte> rest_;
  ArchiveLimits limits_;
  std::size_t elements_left_;
};

// The same bytes, written.
class LittleEndianOutputArchive : public cereal::OutputArchive<LittleEndianOutputArchive> {
 public:
  explicit LittleEndianOutputArchive(std::vector<std::byte>& out);

  void put_integer(std::uint64_t value, std::size_t width);
  void put_string(const std::string& text);

 private:
  std::vector<std::byte>& out_;
};

template <typename T>
concept WireInteger = std::integral<T> && !std::same_as<T, bool>;

template <WireInteger T>
void load(BoundedInputArchive& archive, T& value) {
  value = static_cast<T>(archive.take_integer(sizeof(T)));
}
template <std::same_as<bool> T>
void load(BoundedInputArchive& archive, T& value) {
  value = archive.take_bool();
}
inline void load(BoundedInputArchive& archive, std::string& text) { archive.take_string(text); }
template <typename T>
void load(BoundedInputArchive& archive, cereal::SizeTag<T>& tag) {
  tag.size = static_cast<std::decay_t<T>>(archive.take_size());
}

template <std::integral T>
void save(LittleEndianOutputArchive& archive, const T& value) {
  archive.put_integer(static_cast<std::uint64_t>(value), sizeof(T));
}
inline void save(LittleEndianOutputArchive& archive, const std::string& text) {
  archive.put_string(text);
}
template <typename T>
void save(LittleEndianOutputArchive& archive, const cereal::SizeTag<T>& tag) {
  archive.put_integer(tag.size, 8);
}

}  // namespace fedstill

CEREAL_SETUP_ARCHIVE_TRAITS(fedstill::BoundedInputArchive, fedstill::LittleEndianOutputArchive)
