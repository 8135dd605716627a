#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>

namespace fedstill {

// Differs whenever the file was replaced or written; empty for a file that is not there.
inline std::string stamp_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + " " + std::to_string(status.st_mtim.tv_nsec);
}

}  // namespace fedstill
