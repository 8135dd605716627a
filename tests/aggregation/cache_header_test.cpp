#include "aggregation/cache_header.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "model/decode_error.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

CacheKey make_key() {
  CacheKey key;
  key.images = std::string(64, 'a');
  key.models = {std::string(64, 'b'), "c", std::string(64, 'd')};
  key.sample_counts = {10, 0, 300};
  key.samples = 7;
  key.classes = 3;
  return key;
}

CacheHeader make_header() {
  CacheHeader header = make_cache_header(make_key());
  header.checksums[1] = std::string(64, '5');
  return header;
}

// A file whose key is whatever the test wants, with the right hash over it.
std::vector<std::byte> with_key(const std::function<void(std::vector<std::byte>&)>& change) {
  auto bytes = encode_cache_header(make_header());
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 12, sizeof(length));
  std::vector<std::byte> key(bytes.begin() + 80, bytes.begin() + 80 + length);
  change(key);
  const auto new_length = static_cast<std::uint32_t>(key.size());
  const std::string hash = sha256_hex(key);
  std::memcpy(bytes.data() + 12, &new_length, sizeof(new_length));
  std::memcpy(bytes.data() + 16, hash.data(), hash.size());
  bytes.resize(80);
  bytes.insert(bytes.end(), key.begin(), key.end());
  bytes.resize(bytes.size() + 4096);
  return bytes;
}

template <typename T>
void put(std::vector<std::byte>& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

TEST(CacheHeader, PlacesPartsAlignedAndWithoutOverlap) {
  const CacheHeader header = make_cache_header(make_key());
  EXPECT_EQ(header.checksums_offset % 64, 0U);
  EXPECT_EQ(header.logits_offset, header.checksums_offset + 3 * 64);
  EXPECT_EQ(header.confidences_offset % 64, 0U);
  EXPECT_GE(header.confidences_offset, header.logits_offset + 3 * 7 * 3 * 4);
  EXPECT_EQ(header.file_bytes, header.confidences_offset + 3 * 7 * 4);
  EXPECT_EQ(encode_cache_header(header).size(), header.logits_offset);
}

TEST(CacheHeader, RoundTrip) {
  const CacheHeader header = make_header();
  auto bytes = encode_cache_header(header);
  for (const std::size_t trailing : {0, 1, 1000}) {
    bytes.resize(header.logits_offset + trailing, std::byte{0xAB});
    const CacheHeader decoded = decode_cache_header(bytes);
    EXPECT_EQ(decoded.key, header.key);
    EXPECT_EQ(decoded.checksums, header.checksums);
    EXPECT_EQ(decoded.checksums_offset, header.checksums_offset);
    EXPECT_EQ(decoded.logits_offset, header.logits_offset);
    EXPECT_EQ(decoded.confidences_offset, header.confidences_offset);
    EXPECT_EQ(decoded.file_bytes, header.file_bytes);
  }
}

TEST(CacheHeader, EveryTruncationIsRefused) {
  const auto bytes = encode_cache_header(make_header());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(decode_cache_header(std::span(bytes).first(length)), DecodeError) << length;
  }
}

// Only the checksum of a part may differ and still be one: it is held against the part itself.
TEST(CacheHeader, EveryFlippedByteIsRefusedOrIsAnotherChecksum) {
  const CacheHeader header = make_header();
  auto bytes = encode_cache_header(header);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const std::byte mask : {std::byte{0x01}, std::byte{0x80}, std::byte{0xFF}}) {
      bytes[i] ^= mask;
      try {
        const CacheHeader decoded = decode_cache_header(bytes);
        EXPECT_GE(i, header.checksums_offset);
        EXPECT_NE(decoded.checksums, header.checksums) << i;
      } catch (const DecodeError&) {
      }
      bytes[i] ^= mask;
    }
  }
}

TEST(CacheHeader, HostileKeysAreRefusedBeforeAnythingIsAllocated) {
  const auto refused = [](const std::function<void(std::vector<std::byte>&)>& change) {
    EXPECT_THROW(decode_cache_header(with_key(change)), DecodeError);
  };
  EXPECT_NO_THROW(decode_cache_header(with_key([](auto&) {})));
  refused([](auto& k) { put<std::int64_t>(k, 0, 0); });                      // no samples
  refused([](auto& k) { put<std::int64_t>(k, 0, -1); });                     // negative
  refused([](auto& k) { put<std::int64_t>(k, 0, std::int64_t{1} << 62); });  // overflow
  refused([](auto& k) { put<std::int64_t>(k, 8, 0); });                      // no classes
  refused([](auto& k) { put<std::int64_t>(k, 8, INT64_MAX); });
  refused([](auto& k) { put<std::uint64_t>(k, 16, 0); });  // no clients, bytes left
  refused([](auto& k) { put<std::uint64_t>(k, 16, 2); });
  refused([](auto& k) { put<std::uint64_t>(k, 16, UINT64_MAX); });
  refused([](auto& k) { put<std::uint32_t>(k, 24, 0); });  // empty hash
  refused([](auto& k) { put<std::uint32_t>(k, 24, UINT32_MAX); });
  refused([](auto& k) { k.push_back(std::byte{0}); });
  refused([](auto& k) { k.clear(); });
  refused([](auto& k) { put<std::int64_t>(k, k.size() - 8, -5); });  // sample count
}

TEST(CacheHeader, RefusesKeysThatAreNone) {
  const auto refused = [](const std::function<void(CacheKey&)>& change) {
    CacheKey key = make_key();
    change(key);
    EXPECT_THROW(make_cache_header(key), std::invalid_argument);
  };
  refused([](CacheKey& k) { k.models.clear(), k.sample_counts.clear(); });
  refused([](CacheKey& k) { k.sample_counts.pop_back(); });
  refused([](CacheKey& k) { k.sample_counts[0] = -1; });
  refused([](CacheKey& k) { k.images.clear(); });
  refused([](CacheKey& k) { k.models[2] = std::string(257, 'x'); });
  refused([](CacheKey& k) { k.samples = 0; });
  refused([](CacheKey& k) { k.classes = -3; });
  refused([](CacheKey& k) { k.samples = std::int64_t{1} << 45; });
  refused([](CacheKey& k) { k.samples = k.classes = INT64_MAX; });
}

}  // namespace
}  // namespace fedstill
