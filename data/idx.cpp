#include <array>
#include <cstdio>
#include <string>

#include "data/data_error.h"
#include "data/readers.h"

namespace fedstill {
namespace {

// Two zero bytes, the type (8: unsigned byte), the number of dimensions.
constexpr std::uint32_t kImagesMagic = 0x00000803;
constexpr std::uint32_t kPlanesMagic = 0x00000804;  // with a dimension for the channels
constexpr std::uint32_t kLabelsMagic = 0x00000801;
constexpr std::uint64_t kMaxSide = 4096, kMaxChannels = 64;

[[noreturn]] void refuse_idx(std::string_view origin, const std::string& found,
                             const std::string& expected) {
  throw DataError("[idx] " + std::string(origin) + ": found " + found + ", expected " + expected);
}

std::string hex(std::uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%08x", value);
  return text.data();
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t word) {
  const auto at = bytes.subspan(4 * word, 4);
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         std::uint32_t{at[3]};
}

void check_header(std::span<const std::uint8_t> bytes, std::size_t header, std::uint32_t magic,
                  std::string_view origin) {
  if (bytes.size() < header) {
    refuse_idx(origin, std::to_string(bytes.size()) + " bytes",
               "a header of " + std::to_string(header) + " bytes");
  }
  const std::uint32_t found = big_endian(bytes, 0);
  if (found != magic) refuse_idx(origin, "magic " + hex(found), "magic " + hex(magic));
  if (big_endian(bytes, 1) == 0) refuse_idx(origin, "0 items", "at least one");
}

// Exactly the bytes the header promises: fewer is truncation, more is something else than it says.
void check_size(std::span<const std::uint8_t> bytes, std::uint64_t expected,
                std::string_view origin) {
  if (bytes.size() == expected) return;
  refuse_idx(origin, std::to_string(bytes.size()) + " bytes",
             std::to_string(expected) + " bytes from its header");
}

}  // namespace

Images decode_idx_images(std::span<const std::uint8_t> bytes, std::string_view origin) {
  const bool planes = bytes.size() >= 4 && big_endian(bytes, 0) == kPlanesMagic;
  const std::size_t header = planes ? 20 : 16;
  check_header(bytes, header, planes ? kPlanesMagic : kImagesMagic, origin);
  const std::uint64_t count = big_endian(bytes, 1);
  const std::uint64_t channels = planes ? big_endian(bytes, 2) : 1;
  const std::uint64_t height = big_endian(bytes, header / 4 - 2);
  const std::uint64_t width = big_endian(bytes, header / 4 - 1);
  if (channels < 1 || channels > kMaxChannels) {
    refuse_idx(origin, std::to_string(channels) + " channels",
               "1 to " + std::to_string(kMaxChannels));
  }
  if (height < 1 || height > kMaxSide || width < 1 || width > kMaxSide) {
    refuse_idx(origin, "images of " + std::to_string(height) + " × " + std::to_string(width),
               "sides of 1 to " + std::to_string(kMaxSide));
  }
  // At most 2^32 × 2^6 × 2^24: no overflow.
  check_size(bytes, header + count * channels * height * width, origin);
  const auto pixels = bytes.subspan(header);
  return {{static_cast<std::int64_t>(channels), static_cast<std::int64_t>(height),
           static_cast<std::int64_t>(width)},
          {pixels.begin(), pixels.end()}};
}

std::vector<std::int32_t> decode_idx_labels(std::span<const std::uint8_t> bytes,
                                            std::string_view origin) {
  constexpr std::size_t kHeader = 8;
  check_header(bytes, kHeader, kLabelsMagic, origin);
  check_size(bytes, kHeader + std::uint64_t{big_endian(bytes, 1)}, origin);
  const auto labels = bytes.subspan(kHeader);
  return {labels.begin(), labels.end()};
}

}  // namespace fedstill
