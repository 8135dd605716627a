#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "tests/launch/temp_folder.h"

namespace fedstill::tests {

// A disk of its own (ext4 in a file) at a folder, that can do what a disk does whose kernel found
// an error on it: from one instant to the next nothing more is written, also through files that
// were open, and what was not flushed by then is lost. Seen by this process and those it starts.
class FailingDisk {
 public:
  // Why this machine has none to offer, or nothing. Only looks.
  static std::string find_obstacle() {
    if (::geteuid() != 0) return "mounting a disk takes root";
    if (::access("/dev/loop-control", R_OK | W_OK) != 0) return "no loop devices";
    if (std::system("command -v mkfs.ext4 >/dev/null") != 0) return "no mkfs.ext4";
    const bool may_unshare = std::system("unshare --mount true >/dev/null 2>&1") == 0;
    return may_unshare ? "" : "no mount namespace of one's own";
  }

  // Requires: no obstacle; an empty folder, or none. From then on what this thread and those it
  // starts mount is seen by them alone.
  explicit FailingDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    if (::unshare(CLONE_NEWNS) != 0) {
      throw std::system_error(errno, std::generic_category(), "unshare");
    }
    std::filesystem::create_directories(folder_);
    std::ofstream(image()).flush();
    std::filesystem::resize_file(image(), std::uintmax_t{64} << 20);
    run("mkfs.ext4 -q -F " + image());
    run("mount --make-rprivate /");
    mount();
    std::filesystem::remove(folder_ / "lost+found");
  }
  ~FailingDisk() { ::umount2(folder_.c_str(), MNT_DETACH); }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

  void fail() { run("mount -o remount,abort " + folder_.string()); }
  // Requires: nobody has a file open there.
  void replace() {
    run("umount " + folder_.string());
    mount();
  }

 private:
  std::string image() const { return (files_ / "image").string(); }
  void mount() {
    run("mount -t ext4 -o loop,errors=remount-ro " + image() + " " + folder_.string());
  }
  static void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  }

  TempFolder files_;
  std::filesystem::path folder_;
};

}  // namespace fedstill::tests
