#include "model/byte_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/error_of.h"

namespace fedstill {
namespace {

std::vector<std::byte> bytes_of(std::uint64_t number, std::size_t more) {
  std::vector<std::byte> bytes(sizeof(number) + more);
  std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

TEST(ByteReader, TakesWhatIsThereAndNoMore) {
  const auto bytes = bytes_of(7, 3);
  ByteReader reader("[x]", bytes);
  EXPECT_EQ(reader.number<std::uint64_t>("seven"), 7U);
  EXPECT_EQ(reader.remaining(), 3U);
  EXPECT_EQ(tests::error_of<DecodeError>([&] { reader.number<std::uint32_t>("four"); }),
            "[x] four: found 3 bytes, expected at least 4");
  EXPECT_EQ(reader.take(3, "rest").size(), 3U);
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(ByteReader, AListIsNoLongerThanTheRestCanHold) {
  const auto three = bytes_of(3, 24);
  EXPECT_EQ(ByteReader("[x]", three).length(8, "list"), 3U);
  EXPECT_THROW(ByteReader("[x]", three).length(9, "list"), DecodeError);
  const auto endless = bytes_of(~std::uint64_t{0}, 24);
  EXPECT_THROW(ByteReader("[x]", endless).length(1, "list"), DecodeError);
}

}  // namespace
}  // namespace fedstill
