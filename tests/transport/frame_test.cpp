#include "transport/frame.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/decode_error.h"
#include "tests/transport/frames.h"
#include "transport/crc32c.h"

namespace fedstill {
namespace {

using HeaderBytes = std::array<std::byte, kFrameHeaderBytes>;

FrameHeader some_header() { return {MessageKind::kBlobChunk, 0, 133, 0x0102030405ULL}; }
FrameLimits wide() {
  FrameLimits limits;
  limits.max_body_bytes = ~std::uint64_t{0};
  return limits;
}

// With a checksum that fits, so that what is tested is the field.
HeaderBytes with_byte(std::size_t at, std::uint8_t value) {
  auto bytes = encode_header(some_header());
  bytes[at] = std::byte{value};
  const std::uint32_t sum = crc32c(std::span(bytes).first(24));
  for (std::size_t i = 0; i < 4; ++i) bytes[24 + i] = static_cast<std::byte>(sum >> (8 * i));
  return bytes;
}

void expect_refused(const HeaderBytes& bytes, const std::string& what,
                    const FrameLimits& limits = wide()) {
  try {
    decode_header(bytes, limits);
    ADD_FAILURE() << "accepted, expected: " << what;
  } catch (const DecodeError& error) {
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
  }
}

TEST(FrameHeader, GoldenBytes) {
  EXPECT_EQ(to_hex(encode_header(some_header())),
            "4653544c"
            "0100"
            "0a00"
            "00000000"
            "85000000"
            "0504030201000000"
            "03febb08");
}

TEST(FrameHeader, RoundTrip) {
  EXPECT_EQ(decode_header(encode_header(some_header()), wide()), some_header());
}

TEST(FrameHeader, EveryFlippedBitIsRefused) {
  for (std::size_t bit = 0; bit < 8 * kFrameHeaderBytes; ++bit) {
    auto bytes = encode_header(some_header());
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_THROW(decode_header(bytes, wide()), DecodeError) << bit;
  }
}

TEST(FrameHeader, EachFieldIsCheckedByItself) {
  expect_refused(with_byte(0, 'f'), "FSTL");
  expect_refused(with_byte(4, 2), "protocol version: found 2, expected 1");
  expect_refused(with_byte(6, 0), "kind: found 0");
  expect_refused(with_byte(6, 17), "kind: found 17, expected 1 to 16");
  expect_refused(with_byte(7, 1), "kind: found 266");
  expect_refused(with_byte(8, 1), "flags: found 1");
}

TEST(FrameHeader, SizesAreLimited) {
  FrameLimits limits = wide();
  limits.max_metadata_bytes = 133;
  limits.max_body_bytes = some_header().body_bytes;
  EXPECT_EQ(decode_header(encode_header(some_header()), limits), some_header());
  --limits.max_metadata_bytes;
  expect_refused(encode_header(some_header()), "metadata bytes: found 133", limits);
  ++limits.max_metadata_bytes;
  --limits.max_body_bytes;
  expect_refused(encode_header(some_header()), "body bytes of BlobChunk", limits);
}

TEST(FrameHeader, ABodyIsWithinTheRangeOfItsKind) {
  FrameLimits limits;
  limits.max_body_bytes = 2 * kMaxStatusBytes;
  for (const Message& message : every_message()) {
    FrameHeader header{kind_of(message), 0, 1, 0};
    const std::string what = "body bytes of " + std::string(name(header.kind));
    const BodyRange range = body_range(header.kind, limits.max_body_bytes);
    for (const std::uint64_t bytes : {range.least, range.most}) {
      header.body_bytes = bytes;
      EXPECT_EQ(decode_header(encode_header(header), limits), header);
    }
    header.body_bytes = range.most + 1;
    expect_refused(encode_header(header), what, limits);
    header.body_bytes = range.least - 1;
    if (range.least > 0) expect_refused(encode_header(header), what, limits);
  }
}

TEST(Frame, RoundTrip) {
  for (const Message& message : every_message()) {
    const Frame frame{message, body_for(message, 1000)};
    const Frame back = decode_frame(encode_frame(frame));
    EXPECT_EQ(back.message, message);
    EXPECT_EQ(back.body, frame.body);
  }
}

TEST(Frame, TheHeadIsAllButTheBody) {
  const Frame frame = chunk_frame(1, some_bytes(50));
  auto bytes = encode_frame_head(frame);
  bytes.insert(bytes.end(), frame.body.begin(), frame.body.end());
  EXPECT_EQ(bytes, encode_frame(frame));
}

TEST(Frame, HeaderThenMessageThenBody) {
  const Frame frame = chunk_frame(1, some_bytes(5));
  const auto bytes = encode_frame(frame);
  const auto header = decode_header(std::span(bytes).first<kFrameHeaderBytes>());
  EXPECT_EQ(header.kind, MessageKind::kBlobChunk);
  EXPECT_EQ(kFrameHeaderBytes + header.metadata_bytes + header.body_bytes, bytes.size());
  EXPECT_TRUE(std::equal(frame.body.begin(), frame.body.end(), bytes.end() - 5));
}

TEST(Frame, EveryTruncationAndOneByteMoreIsRefused) {
  auto bytes = encode_frame(chunk_frame(1, some_bytes(40)));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(decode_frame(std::span(bytes).first(size)), DecodeError);
  }
  bytes.push_back(std::byte{0});
  EXPECT_THROW(decode_frame(bytes), DecodeError);
}

TEST(Frame, ABodyWhereNoneBelongsIsTheCallersMistake) {
  EXPECT_THROW(encode_frame({Join{"a", "cnn3", 1}, some_bytes(1)}), std::invalid_argument);
  EXPECT_THROW(encode_frame(chunk_frame(0, {})), std::invalid_argument);
}

TEST(Frame, SizesThatOverflowTogetherAreRefused) {
  auto bytes = encode_frame(chunk_frame(1, some_bytes(40)));
  FrameHeader header = decode_header(std::span(bytes).first<kFrameHeaderBytes>());
  header.body_bytes = ~std::uint64_t{0} - header.metadata_bytes + 41;
  const auto forged = encode_header(header);
  std::copy(forged.begin(), forged.end(), bytes.begin());
  EXPECT_THROW(decode_frame(bytes, wide()), DecodeError);
}

}  // namespace
}  // namespace fedstill
