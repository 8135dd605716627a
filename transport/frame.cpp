#include "transport/frame.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "model/decode_error.h"
#include "transport/archive.h"
#include "transport/crc32c.h"

namespace fedstill {
namespace {

constexpr std::array<std::byte, 4> kMagic{std::byte{'F'}, std::byte{'S'}, std::byte{'T'},
                                          std::byte{'L'}};

template <typename T>
void put(std::span<std::byte> out, std::size_t offset, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out[offset + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <typename T>
T get(std::span<const std::byte> bytes, std::size_t offset) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | (std::to_integer<T>(bytes[offset + i]) << (8 * i)));
  }
  return value;
}

[[noreturn]] void refuse(const std::string& what, std::uint64_t found,
                         const std::string& expected) {
  throw DecodeError("[frame] " + what + ": found " + std::to_string(found) + ", expected " +
                    expected);
}

MessageKind checked_kind(std::uint16_t kind) {
  if (kind < 1 || kind > std::variant_size_v<Message>) {
    refuse("kind", kind, "1 to " + std::to_string(std::variant_size_v<Message>));
  }
  return static_cast<MessageKind>(kind);
}

void check_sizes(const FrameHeader& header, const FrameLimits& limits) {
  if (header.metadata_bytes > limits.max_metadata_bytes) {
    refuse("metadata bytes", header.metadata_bytes,
           "at most " + std::to_string(limits.max_metadata_bytes));
  }
  const BodyRange range = body_range(header.kind, limits.max_body_bytes);
  if (header.body_bytes < range.least || header.body_bytes > range.most) {
    refuse("body bytes of " + std::string(name(header.kind)), header.body_bytes,
           std::to_string(range.least) + " to " + std::to_string(range.most));
  }
}

FrameHeader header_of(const Frame& frame, std::size_t metadata_bytes) {
  FrameHeader header;
  header.kind = kind_of(frame.message);
  header.metadata_bytes = static_cast<std::uint32_t>(metadata_bytes);
  header.body_bytes = frame.body.size();
  const BodyRange range = body_range(header.kind, ~std::uint64_t{0});
  if (header.body_bytes < range.least || header.body_bytes > range.most) {
    throw std::invalid_argument("[frame] " + std::string(name(header.kind)) + " with a body of " +
                                std::to_string(header.body_bytes) + " bytes, expected " +
                                std::to_string(range.least) + " to " + std::to_string(range.most));
  }
  return header;
}

}  // namespace

std::array<std::byte, kFrameHeaderBytes> encode_header(const FrameHeader& header) {
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  put(bytes, 4, kProtocolVersion);
  put(bytes, 6, static_cast<std::uint16_t>(header.kind));
  put(bytes, 8, header.flags);
  put(bytes, 12, header.metadata_bytes);
  put(bytes, 16, header.body_bytes);
  put(bytes, 24, crc32c(std::span(bytes).first(24)));
  return bytes;
}

FrameHeader decode_header(std::span<const std::byte, kFrameHeaderBytes> bytes,
                          const FrameLimits& limits) {
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
    throw DecodeError("[frame] the bytes do not begin with \"FSTL\"");
  }
  // The version first: a later one may lay out the rest differently.
  if (const auto version = get<std::uint16_t>(bytes, 4); version != kProtocolVersion) {
    refuse("protocol version", version, std::to_string(kProtocolVersion));
  }
  const std::uint32_t checksum = crc32c(bytes.first(24));
  if (const auto found = get<std::uint32_t>(bytes, 24); found != checksum) {
    refuse("header checksum", found, std::to_string(checksum));
  }
  FrameHeader header;
  header.kind = checked_kind(get<std::uint16_t>(bytes, 6));
  header.flags = get<std::uint32_t>(bytes, 8);
  header.metadata_bytes = get<std::uint32_t>(bytes, 12);
  header.body_bytes = get<std::uint64_t>(bytes, 16);
  if (header.flags != 0) refuse("flags", header.flags, "0");
  check_sizes(header, limits);
  return header;
}

std::vector<std::byte> encode_frame_head(const Frame& frame) {
  const std::vector<std::byte> metadata = encode_message(frame.message);
  const auto header = encode_header(header_of(frame, metadata.size()));
  std::vector<std::byte> bytes(header.size() + metadata.size());
  std::copy(metadata.begin(), metadata.end(),
            std::copy(header.begin(), header.end(), bytes.begin()));
  return bytes;
}

std::vector<std::byte> encode_frame(const Frame& frame) {
  std::vector<std::byte> bytes = encode_frame_head(frame);
  bytes.insert(bytes.end(), frame.body.begin(), frame.body.end());
  return bytes;
}

Frame decode_frame(std::span<const std::byte> bytes, const FrameLimits& limits) {
  if (bytes.size() < kFrameHeaderBytes) refuse("bytes", bytes.size(), "a header of 28");
  const FrameHeader header = decode_header(bytes.first<kFrameHeaderBytes>(), limits);
  const auto rest = bytes.subspan(kFrameHeaderBytes);
  const bool fits = rest.size() >= header.metadata_bytes &&
                    rest.size() - header.metadata_bytes == header.body_bytes;
  if (!fits) {
    refuse("bytes after the header", rest.size(),
           std::to_string(header.metadata_bytes) + " + " + std::to_string(header.body_bytes));
  }
  ArchiveLimits archive_limits;
  archive_limits.max_bytes = limits.max_metadata_bytes;
  Frame frame;
  frame.message = decode_message(header.kind, rest.first(header.metadata_bytes), archive_limits);
  const auto body = rest.subspan(header.metadata_bytes);
  frame.body.assign(body.begin(), body.end());
  return frame;
}

}  // namespace fedstill
