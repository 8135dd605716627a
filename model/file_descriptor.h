#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace fedstill {

// An open POSIX file that closes itself. Every failure is a std::system_error naming the path.
class FileDescriptor {
 public:
  FileDescriptor(const std::filesystem::path& path, int flags);  // as open(2); creates with 0666
  ~FileDescriptor();
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return descriptor_; }      // for calls this class has no verb for
  std::size_t read(std::span<std::byte> out);  // 0 only at the end of the file
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const;  // as read()
  void write(std::span<const std::byte> bytes);
  void sync();
  void close();  // reports what a late write error would otherwise hide

 private:
  [[noreturn]] void fail(const char* verb) const;

  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace fedstill
