#include "model/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <system_error>

namespace fedstill {
namespace {

namespace fs = std::filesystem;

// Beside the target, so that the rename stays within one file system; unique among the threads of
// all processes that are alive.
fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> counter{0};
  fs::path name = target;
  name += ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter++);
  return name;
}

}  // namespace

TemporaryFile::TemporaryFile(const fs::path& target, int access) : target_(target) {
  while (!file_) {
    path_ = temporary_name(target);
    try {
      file_.emplace(path_, access | O_CREAT | O_EXCL | O_NOFOLLOW);
    } catch (const std::system_error& error) {
      // Left by a process that had this id before, or by one of another container: not ours.
      if (error.code() != std::errc::file_exists) throw;
    }
  }
}

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void TemporaryFile::replace_target() {
  file_->sync();
  file_->close();
  fs::rename(path_, target_);
  path_.clear();
  const fs::path folder = target_.has_parent_path() ? target_.parent_path() : fs::path(".");
  FileDescriptor(folder, O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace fedstill
