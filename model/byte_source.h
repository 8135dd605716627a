#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "model/file_descriptor.h"

namespace fedstill {

// Bytes to decode, wherever they lie, so that a large file is read piece by piece to where its
// parts belong.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out`. Throws DecodeError where the bytes end before, std::system_error.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

class MemorySource : public ByteSource {  // the bytes must outlive it
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::span<const std::byte> bytes_;
};

// A regular file, of the size that it has when it is opened. Throws std::system_error.
class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path);
  std::uint64_t size() const override { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  FileDescriptor file_;
  std::uint64_t size_;
};

}  // namespace fedstill
