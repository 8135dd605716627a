#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "model/sha256.h"

namespace fedstill::tests {

// The file with the hash of its data put right, where it names one: no mutation would ever guess
// it, and nothing behind that check would be tried.
inline std::vector<std::byte> with_right_hash(std::span<const std::byte> file) {
  constexpr std::string_view kKey = "\"fedstill.data_sha256\":\"";
  constexpr std::size_t kHexDigits = 64;
  std::vector<std::byte> bytes(file.begin(), file.end());
  std::uint64_t length = 0;
  if (bytes.size() < sizeof(length)) return bytes;
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > bytes.size() - sizeof(length)) return bytes;
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + sizeof(length),
                                static_cast<std::size_t>(length));
  const std::size_t key = header.find(kKey);
  if (key == std::string_view::npos || header.size() - key < kKey.size() + kHexDigits) return bytes;
  const std::string hash =
      sha256_hex(std::span(bytes).subspan(sizeof(length) + static_cast<std::size_t>(length)));
  std::memcpy(bytes.data() + sizeof(length) + key + kKey.size(), hash.data(), kHexDigits);
  return bytes;
}

// The file with its first eight bytes saying where the header ends, at its last brace: no mutation
// keeps the two in step. Empty where there is no header.
inline std::vector<std::byte> with_right_length(std::span<const std::byte> file) {
  std::size_t end = file.size();
  while (end > 8 && file[end - 1] != std::byte{'}'}) --end;
  if (end <= 8) return {};
  std::vector<std::byte> bytes(file.begin(), file.end());
  const std::uint64_t length = end - 8;
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes;
}

}  // namespace fedstill::tests
