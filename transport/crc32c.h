#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fedstill {

// CRC-32C (Castagnoli; RFC 3720 §12.1). Against accidents, not against an adversary.
std::uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace fedstill
