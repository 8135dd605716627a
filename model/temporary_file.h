#pragma once

#include <filesystem>
#include <optional>

#include "model/file_descriptor.h"

namespace fedstill {

// A new file beside its target, under a name that nobody else uses, so that a reader or a crash
// sees the old target or the new one, never a part. Removed on the way out unless it took the
// target's place. Every failure is a std::system_error naming the path.
class TemporaryFile {
 public:
  // access: O_WRONLY or O_RDWR. Follows no link and opens nothing that is there already, such as
  // what a killed process left: NAME.tmp.PROCESS.COUNTER.
  TemporaryFile(const std::filesystem::path& target, int access);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  FileDescriptor& file() { return *file_; }
  // On the disk when this returns: file, then name. Requires: called once, last.
  void replace_target();

 private:
  std::filesystem::path target_, path_;
  std::optional<FileDescriptor> file_;
};

}  // namespace fedstill
