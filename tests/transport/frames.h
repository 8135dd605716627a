#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "transport/frame.h"

namespace fedstill {

inline std::string to_hex(std::span<const std::byte> bytes) {
  std::string hex;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", std::to_integer<unsigned>(byte));
    hex += digits;
  }
  return hex;
}

inline std::string some_hash(char digit) { return std::string(64, digit); }

inline std::vector<std::byte> some_bytes(std::size_t count, unsigned seed = 1) {
  std::vector<std::byte> bytes(count);
  std::uint32_t state = seed;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

// One of every kind, with every field set.
inline std::vector<Message> every_message() {
  return {Join{"site-1", "cnn3", 4000}, RoundPlan{some_hash('a'), 7, some_hash('b'), 10},
          Upload{7, "site-1", some_hash('c'), 4000},
          Acknowledgement{7, some_hash('d'), false, "no such client"}, Bundle{7, some_hash('e')}};
}

inline Frame upload_frame(std::uint32_t round, std::vector<std::byte> body) {
  return {Upload{round, "site-1", some_hash('c'), 4000}, std::move(body)};
}

}  // namespace fedstill
