#include "transport/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/transport/frames.h"

namespace fedstill {
namespace {

// One bit at a time, straight from the definition.
std::uint32_t naive_crc32c(std::span<const std::byte> bytes) {
  std::uint32_t value = 0xFFFFFFFFU;
  for (const std::byte byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const std::uint32_t in = (std::to_integer<std::uint32_t>(byte) >> bit) & 1U;
      const bool carry = ((value ^ in) & 1U) != 0;
      value = carry ? (value >> 1) ^ 0x82F63B78U : value >> 1;
    }
  }
  return ~value;
}

TEST(Crc32c, PublishedValues) {
  EXPECT_EQ(crc32c({}), 0U);
  constexpr std::string_view kDigits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(kDigits))), 0xE3069283U);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32)), 0x8A9136AAU);  // RFC 3720 B.4
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xFF})), 0x62A8AB43U);
}

TEST(Crc32c, EqualsTheDefinition) {
  for (std::size_t size = 0; size < 70; ++size) {
    const auto bytes = some_bytes(size, static_cast<unsigned>(size));
    EXPECT_EQ(crc32c(bytes), naive_crc32c(bytes));
  }
}

}  // namespace
}  // namespace fedstill
