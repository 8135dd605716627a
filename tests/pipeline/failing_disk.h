#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "tests/launch/temp_folder.h"
#include "tests/support/own_mounts.h"

namespace fedstill::tests {

// A disk of its own (ext4 in a file) at a folder, that can do what a disk does whose kernel found
// an error on it: from one instant to the next nothing more is written, also through files that
// were open, and what was not flushed by then is lost. Seen by this process and those it starts.
class FailingDisk {
 public:
  // Requires: no find_mount_obstacle(); an empty folder, or none.
  explicit FailingDisk(std::filesystem::path folder) : folder_(std::move(folder)) {
    begin_own_mounts();
    std::filesystem::create_directories(folder_);
    std::ofstream(image()).flush();
    std::filesystem::resize_file(image(), std::uintmax_t{64} << 20);
    run_or_throw("mkfs.ext4 -q -F " + image());
    mount();
    std::filesystem::remove(folder_ / "lost+found");
  }
  ~FailingDisk() { ::umount2(folder_.c_str(), MNT_DETACH); }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

  void fail() { run_or_throw("mount -o remount,abort " + folder_.string()); }
  // Requires: nobody has a file open there.
  void replace() {
    run_or_throw("umount " + folder_.string());
    mount();
  }

 private:
  std::string image() const { return (files_ / "image").string(); }
  void mount() {
    run_or_throw("mount -t ext4 -o loop,errors=remount-ro " + image() + " " + folder_.string());
  }

  TempFolder files_;
  std::filesystem::path folder_;
};

}  // namespace fedstill::tests
