#pragma once

#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "tests/support/own_mounts.h"
#include "tests/support/temporary_folder.h"

namespace fedstill {

// A disk (ext4 in a file) that takes 64 MiB and has room for three: what write() took finds none
// when it is to be flushed.
class ThinDisk {
 public:
  // Requires: no find_mount_obstacle().
  ThinDisk() {
    begin_own_mounts();
    std::filesystem::create_directory(room());
    std::filesystem::create_directory(path());
    run_or_throw("mount -t tmpfs -o size=3m tmpfs " + room().string());
    const auto image = room() / "image";
    std::ofstream(image).flush();
    std::filesystem::resize_file(image, std::uintmax_t{64} << 20);
    run_or_throw("mkfs.ext4 -q -F -O ^has_journal -E nodiscard,lazy_itable_init=1 " +
                 image.string());
    run_or_throw("mount -t ext4 -o loop " + image.string() + " " + path().string());
  }
  ~ThinDisk() {
    ::umount2(path().c_str(), MNT_DETACH);
    ::umount2(room().c_str(), MNT_DETACH);
  }
  ThinDisk(const ThinDisk&) = delete;
  ThinDisk& operator=(const ThinDisk&) = delete;

  std::filesystem::path path() const { return files_.path() / "disk"; }

 private:
  std::filesystem::path room() const { return files_.path() / "room"; }

  TemporaryFolder files_;
};

}  // namespace fedstill
