#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "transport/message.h"

namespace fedstill {

// One frame on the wire: header, message bytes, body (docs/protocol.md). Little-endian.
//   0  magic "FSTL"   4  version u16   6  kind u16   8  flags u32   12  metadata length u32   16
//   body length u64   24  CRC-32C of bytes 0–23 u32
inline constexpr std::size_t kFrameHeaderBytes = 28;
inline constexpr std::uint16_t kProtocolVersion = 1;

struct FrameHeader {
  MessageKind kind = MessageKind::kJoin;
  std::uint32_t flags = 0;
  std::uint32_t metadata_bytes = 0;
  std::uint64_t body_bytes = 0;
  bool operator==(const FrameHeader&) const = default;
};

struct FrameLimits {
  std::uint32_t max_metadata_bytes = 64 * 1024;
  std::uint64_t max_body_bytes = std::uint64_t{4} << 20;
};

// A control message with the bytes that follow it.
struct Frame {
  Message message;
  std::vector<std::byte> body;
};
inline Frame plain(Message message) { return {std::move(message), {}}; }  // with no such bytes

std::array<std::byte, kFrameHeaderBytes> encode_header(const FrameHeader& header);
FrameHeader decode_header(std::span<const std::byte, kFrameHeaderBytes> bytes,
                          const FrameLimits& limits = {});  // DecodeError

// Header and message, so that a body is written from where it lies. Throws std::invalid_argument
// for a frame that no peer would accept.
std::vector<std::byte> encode_frame_head(const Frame& frame);
std::vector<std::byte> encode_frame(const Frame& frame);
Frame decode_frame(std::span<const std::byte> bytes,
                   const FrameLimits& limits = {});  // all bytes consumed, or DecodeError

}  // namespace fedstill
