#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace fedstill {

inline std::vector<std::byte> numbered_bytes(int number, std::size_t count = 1000) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>(i * 7 + static_cast<std::size_t>(number) * 13 + i / 256);
  }
  return bytes;
}

// Changes one byte of a file in place.
inline void flip_byte(const std::filesystem::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x55);
  file.seekp(at);
  file.put(byte);
  ASSERT_TRUE(file.good());
}

inline std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

}  // namespace fedstill
