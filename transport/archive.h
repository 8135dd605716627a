#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "transport/message.h"

namespace fedstill {

// Control messages through cereal, bounded: no length from the bytes allocates before it was
// checked against these limits and the bytes that remain.
struct ArchiveLimits {
  std::size_t max_bytes = 65'536;
  std::size_t max_string = 32'768;
  std::size_t max_elements = 4096;  // of all containers together
};

std::vector<std::byte> encode_message(const Message& message);

// Throws DecodeError: unknown kind or version, a limit exceeded, bytes missing or left over, a
// field out of its range.
Message decode_message(MessageKind kind, std::span<const std::byte> bytes,
                       const ArchiveLimits& limits = {});

}  // namespace fedstill
