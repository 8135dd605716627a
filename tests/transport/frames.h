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

// One of every kind, in the order of the kinds, with every field set.
inline std::vector<Message> every_message() {
  RoundPlan plan{some_hash('a'), 7, some_hash('b'), 10};
  plan.settings = "[clients]\n\tepochs = 3\n";
  plan.pool_bytes = 30'730'000;
  plan.student = some_hash('c');
  plan.student_bytes = 272'474;
  plan.rounds = 9;
  return {Join{"site-1", "cnn3", 4000, Participation::kPredictions},
          plan,
          Upload{7, "site-1", some_hash('c'), 4000},
          Acknowledgement{7, some_hash('d'), false, "no such client", Refusal::kTooLate},
          Bundle{7, some_hash('e'), 5307, false},
          Hello{1, 3, "fedstill 0.2", {"blobs", "tls"}},
          Welcome{2, "fedstill 0.3", {"blobs"}, 15, 1'700'000'000},
          BlobOffer{some_hash('1'), 272'474, "update"},
          BlobRequest{some_hash('2'), 4096},
          BlobChunk{some_hash('3'), 1'048'576},
          BlobProgress{some_hash('4'), 2'097'152},
          Heartbeat{7, "training", 120, 4000},
          Predictions{7, "site-2", some_hash('5'), 300},
          StatusRequest{"clients", "site-1"},
          StatusReply{},
          Leave{"maintenance"}};
}

// A body that the kind accepts, as long as it may be.
inline std::vector<std::byte> body_for(const Message& message, std::size_t count,
                                       unsigned seed = 1) {
  const BodyRange range = body_range(kind_of(message), count);
  return some_bytes(static_cast<std::size_t>(range.most), seed);
}

inline Frame chunk_frame(std::uint64_t offset, std::vector<std::byte> body) {
  return {BlobChunk{some_hash('c'), offset}, std::move(body)};
}

}  // namespace fedstill
