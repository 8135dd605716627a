#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace fedstill {

// A folder for what another program reads and writes; it goes when it is left. Throws
// std::system_error.
class WorkFolder {
 public:
  WorkFolder();
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  std::filesystem::path file(const char* name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

  template <typename T>
  void write(const char* name, std::span<const T> values) const {
    write_bytes(name, std::as_bytes(values));
  }

 private:
  void write_bytes(const char* name, std::span<const std::byte> bytes) const;
  std::filesystem::path path_;
};

}  // namespace fedstill
