#include "transport/archive.h"

#include <gtest/gtest.h>

#include <cereal/types/vector.hpp>

#include "model/decode_error.h"
#include "tests/transport/frames.h"
#include "transport/bounded_archive.h"

namespace fedstill {
namespace {

std::string hash_hex(char digit) {
  const std::string hash = some_hash(digit);
  return to_hex(std::as_bytes(std::span(hash)));
}

// Protocol version 1, byte for byte. These never change; a new version gets new ones beside them.
TEST(Archive, GoldenBytesOfEveryMessage) {
  const std::string hash_size = "4000000000000000";
  const auto hash = [&](char digit) { return hash_size + hash_hex(digit); };
  const auto text = [](std::string_view of) {
    std::vector<std::byte> size;
    LittleEndianOutputArchive(size).put_integer(of.size(), 8);
    return to_hex(size) + to_hex(std::as_bytes(std::span(of)));
  };
  const std::vector<std::string> golden{
      "01"
      "0600000000000000"
      "736974652d31"
      "0400000000000000"
      "636e6e33"
      "a00f000000000000"
      "02",
      "01" + hash('a') + "07000000" + hash('b') + "0a00000000000000" +
          text("[clients]\n\tepochs = 3\n") + "10e7d40100000000" + hash('c') + "5a28040000000000" +
          "09000000",
      "01"
      "07000000"
      "0600000000000000"
      "736974652d31" +
          hash('c') + "a00f000000000000",
      "01"
      "07000000" +
          hash('d') +
          "00"
          "0e00000000000000"
          "6e6f207375636820636c69656e74"
          "01",
      "01"
      "07000000" +
          hash('e') + "bb14000000000000" + "00",
      "01"
      "0100"
      "0300" +
          text("fedstill 0.2") + "0200000000000000" + text("blobs") + text("tls"),
      "01"
      "0200" +
          text("fedstill 0.3") + "0100000000000000" + text("blobs") + "0f000000" +
          "00f1536500000000",
      "01" + hash('1') + "5a28040000000000" + text("update"),
      "01" + hash('2') + "0010000000000000",
      "01" + hash('3') + "0000100000000000",
      "01" + hash('4') + "0000200000000000",
      "01"
      "07000000" +
          text("training") + "7800000000000000" + "a00f000000000000",
      "01"
      "07000000" +
          text("site-2") + hash('5') + "2c01000000000000",
      "01" + text("clients") + text("site-1"),
      "01",
      "01" + text("maintenance")};
  const auto messages = every_message();
  ASSERT_EQ(golden.size(), messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(to_hex(encode_message(messages[i])), golden[i]) << name(kind_of(messages[i]));
  }
}

TEST(Archive, RoundTrip) {
  for (const Message& message : every_message()) {
    EXPECT_EQ(decode_message(kind_of(message), encode_message(message)), message);
  }
  const Message extreme = Upload{0xFFFFFFFFU, "x", some_hash('0'), INT64_MAX};
  EXPECT_EQ(decode_message(MessageKind::kUpload, encode_message(extreme)), extreme);
}

TEST(Archive, EveryTruncationIsRefused) {
  for (const Message& message : every_message()) {
    const auto bytes = encode_message(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THROW(decode_message(kind_of(message), std::span(bytes).first(size)), DecodeError);
    }
  }
}

TEST(Archive, LeftOverBytesAreRefused) {
  for (const Message& message : every_message()) {
    auto bytes = encode_message(message);
    bytes.push_back(std::byte{0});
    EXPECT_THROW(decode_message(kind_of(message), bytes), DecodeError);
  }
}

// A flipped bit is refused, or it is another message in its only encoding.
TEST(Archive, EveryFlippedBitIsRefusedOrCanonical) {
  int refused = 0;
  for (const Message& message : every_message()) {
    for (std::size_t bit = 0; bit < 8 * encode_message(message).size(); ++bit) {
      auto bytes = encode_message(message);
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      try {
        const Message other = decode_message(kind_of(message), bytes);
        EXPECT_NE(other, message);
        EXPECT_EQ(encode_message(other), bytes);
      } catch (const DecodeError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Archive, AnotherVersionIsRefused) {
  for (const Message& message : every_message()) {
    auto bytes = encode_message(message);
    for (const int version : {0, 2, 255}) {
      bytes[0] = static_cast<std::byte>(version);
      EXPECT_THROW(decode_message(kind_of(message), bytes), DecodeError);
    }
  }
}

TEST(Archive, AnUnknownKindIsRefused) {
  const auto bytes = encode_message(Bundle{1, some_hash('a'), 1});
  for (const int kind : {0, 17, 65535}) {
    EXPECT_THROW(decode_message(static_cast<MessageKind>(kind), bytes), DecodeError);
  }
}

// Kinds whose fields have the same types are told apart by the frame's header alone.
TEST(Archive, AnotherKindsBytesAreRefusedOrHaveItsFields) {
  const auto alike = [](MessageKind kind) {
    if (kind == MessageKind::kPredictions) return MessageKind::kUpload;
    const bool is_place = kind == MessageKind::kBlobRequest || kind == MessageKind::kBlobProgress;
    return is_place ? MessageKind::kBlobChunk : kind;
  };
  for (const Message& message : every_message()) {
    for (const Message& other : every_message()) {
      const MessageKind kind = kind_of(other);
      const auto bytes = encode_message(message);
      if (alike(kind) == alike(kind_of(message))) {
        EXPECT_EQ(encode_message(decode_message(kind, bytes)), bytes);
      } else {
        EXPECT_THROW(decode_message(kind, bytes), DecodeError);
      }
    }
  }
}

TEST(Archive, FieldsOutOfRangeAreRefusedOnBothSides) {
  EXPECT_THROW(encode_message(Join{"", "cnn3", 1}), std::invalid_argument);
  auto bytes = encode_message(Join{"a", "cnn3", 1});
  bytes[bytes.size() - 2] = std::byte{0x80};  // the count's sign
  EXPECT_THROW(decode_message(MessageKind::kJoin, bytes), DecodeError);
}

TEST(Archive, TheMessageLimitHolds) {
  const auto bytes = encode_message(Join{"a", "cnn3", 1});
  ArchiveLimits limits;
  limits.max_bytes = bytes.size();
  EXPECT_NO_THROW(decode_message(MessageKind::kJoin, bytes, limits));
  limits.max_bytes = bytes.size() - 1;
  EXPECT_THROW(decode_message(MessageKind::kJoin, bytes, limits), DecodeError);
}

TEST(Archive, TheStringLimitHolds) {
  const auto bytes = encode_message(Join{"a", "cnn3", 1});
  ArchiveLimits limits;
  limits.max_string = 4;
  EXPECT_NO_THROW(decode_message(MessageKind::kJoin, bytes, limits));
  limits.max_string = 3;
  EXPECT_THROW(decode_message(MessageKind::kJoin, bytes, limits), DecodeError);
}

template <typename T>
std::vector<std::byte> written(const T& value) {
  std::vector<std::byte> bytes;
  LittleEndianOutputArchive archive(bytes);
  archive(value);
  return bytes;
}

template <typename T>
std::remove_const_t<T> read(std::span<const std::byte> bytes, const ArchiveLimits& limits = {}) {
  std::remove_const_t<T> value{};
  BoundedInputArchive archive(bytes, limits);
  archive(value);
  archive.expect_end();
  return value;
}

TEST(BoundedArchive, ContainersAndIntegersRoundTrip) {
  const std::vector<std::vector<std::int16_t>> nested{{1, -2}, {}, {INT16_MIN, INT16_MAX, 0}};
  EXPECT_EQ(read<decltype(nested)>(written(nested)), nested);
  const std::vector<std::string> names{"", "a", std::string(1000, 'x')};
  EXPECT_EQ(read<std::vector<std::string>>(written(names)), names);
  EXPECT_EQ(to_hex(written(std::uint32_t{0x01020304})), "04030201");
}

TEST(BoundedArchive, ASizeBeyondTheBytesAllocatesNothing) {
  for (const std::uint64_t claim :
       {std::uint64_t{1}, std::uint64_t{1} << 28, std::uint64_t{1} << 33, ~std::uint64_t{0}}) {
    const auto bytes = written(claim);
    EXPECT_THROW(read<std::vector<std::string>>(bytes), DecodeError);
    EXPECT_THROW(read<std::vector<std::uint64_t>>(bytes), DecodeError);
    EXPECT_THROW(read<std::vector<bool>>(bytes), DecodeError);
    EXPECT_THROW(read<std::string>(bytes), DecodeError);
  }
}

TEST(BoundedArchive, ElementsAreLimitedOverAllContainers) {
  const std::vector<std::vector<std::uint8_t>> rows(10, std::vector<std::uint8_t>(10));
  ArchiveLimits limits;
  limits.max_elements = 110;  // ten rows and their hundred bytes
  EXPECT_EQ(read<decltype(rows)>(written(rows), limits), rows);
  limits.max_elements = 109;
  EXPECT_THROW(read<decltype(rows)>(written(rows), limits), DecodeError);
}

TEST(BoundedArchive, ATruthValueIsZeroOrOne) {
  EXPECT_TRUE(read<bool>(written(true)));
  EXPECT_FALSE(read<bool>(written(false)));
  EXPECT_THROW(read<bool>(written(std::uint8_t{2})), DecodeError);
}

}  // namespace
}  // namespace fedstill
