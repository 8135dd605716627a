#pragma once

#include <filesystem>
#include <string>

namespace fedstill {

// A folder that belongs to one process at a time, by a file in it that is locked until the end of
// this object, or of the process. Moved-from, it holds nothing.
class FolderLock {
 public:
  FolderLock() = default;  // holds nothing
  // Creates folder/lock; follows no link. Throws std::system_error, beginning with the origin: that
  // the file cannot be opened, or `taken` where another process holds it.
  FolderLock(const std::filesystem::path& folder, const std::string& origin,
             const std::string& taken);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace fedstill
