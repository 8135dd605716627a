#include "model/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace fedstill {
namespace {

[[noreturn]] void fail_to_lock(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder, const std::string& origin,
                       const std::string& taken) {
  const std::filesystem::path file = folder / "lock";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0) fail_to_lock(errno, origin + " " + file.string() + ": cannot be opened");
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor);
    fail_to_lock(error, origin + " " + folder.string() + ": " +
                            (error == EWOULDBLOCK ? taken : "cannot be locked"));
  }
  descriptor_ = descriptor;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace fedstill
