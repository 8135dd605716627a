#pragma once

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>

namespace fedstill {

// Why this process cannot mount disks of its own (ext4 in a file), or nothing. Only looks.
inline std::string find_mount_obstacle() {
  if (::geteuid() != 0) return "mounting a disk takes root";
  if (::access("/dev/loop-control", R_OK | W_OK) != 0) return "no loop devices";
  if (std::system("command -v mkfs.ext4 >/dev/null") != 0) return "no mkfs.ext4";
  const bool may_unshare = std::system("unshare --mount true >/dev/null 2>&1") == 0;
  return may_unshare ? "" : "no mount namespace of one's own";
}

inline void run_or_throw(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// From then on what this thread and those it starts mount is seen by them alone.
inline void begin_own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) {
    throw std::system_error(errno, std::generic_category(), "unshare");
  }
  run_or_throw("mount --make-rprivate /");
}

}  // namespace fedstill
