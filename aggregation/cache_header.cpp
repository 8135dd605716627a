#include "aggregation/cache_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "model/byte_reader.h"
#include "model/decode_error.h"
#include "model/sha256.h"

namespace fedstill {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is mapped as it is");

constexpr const char* kOrigin = "[prediction cache]";
constexpr std::string_view kMagic = "FSPREDIC";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPreambleBytes = 80;  // magic, version, bytes of the key, SHA-256 of the key
constexpr std::size_t kMaxHashBytes = 256;
constexpr std::size_t kMaxClients = std::size_t{1} << 20;
constexpr std::size_t kMinClientBytes = sizeof(std::uint32_t) + 1 + sizeof(std::int64_t);
constexpr std::uint64_t kMaxPredictionBytes = std::uint64_t{1} << 46;

constexpr std::uint64_t aligned(std::uint64_t offset) {
  return (offset + kCacheAlignment - 1) / kCacheAlignment * kCacheAlignment;
}

std::string_view text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append(std::vector<std::byte>& out, const void* bytes, std::size_t count) {
  const std::size_t at = out.size();
  out.resize(at + count);
  if (count > 0) std::memcpy(out.data() + at, bytes, count);
}

template <typename T>
void append(std::vector<std::byte>& out, T value) {
  static_assert(std::is_integral_v<T>);
  append(out, &value, sizeof(T));
}

void append(std::vector<std::byte>& out, std::string_view value) {
  append(out, value.data(), value.size());
}

void append_hash(std::vector<std::byte>& out, const std::string& value) {
  append(out, static_cast<std::uint32_t>(value.size()));
  append(out, std::string_view(value));
}

std::vector<std::byte> encode_key(const CacheKey& key) {
  std::vector<std::byte> out;
  append(out, key.samples);
  append(out, key.classes);
  append(out, static_cast<std::uint64_t>(key.models.size()));
  append_hash(out, key.images);
  for (std::size_t k = 0; k < key.models.size(); ++k) {
    append_hash(out, key.models[k]);
    append(out, key.sample_counts[k]);
  }
  return out;
}

std::string read_hash(ByteReader& reader, const char* what) {
  const auto length = reader.number<std::uint32_t>(what);
  if (length == 0 || length > kMaxHashBytes) {
    reader.fail(std::string(what) + ": length " + std::to_string(length) + ", expected 1 to " +
                std::to_string(kMaxHashBytes));
  }
  return std::string(text(reader.take(length, what)));
}

CacheKey decode_key(std::span<const std::byte> bytes) {
  ByteReader reader(kOrigin, bytes);
  CacheKey key;
  key.samples = reader.number<std::int64_t>("samples");
  key.classes = reader.number<std::int64_t>("classes");
  const auto clients = reader.number<std::uint64_t>("clients");
  key.images = read_hash(reader, "hash of the images");
  if (clients > reader.remaining() / kMinClientBytes) {
    reader.fail(std::to_string(clients) + " clients in " + std::to_string(reader.remaining()) +
                " bytes");
  }
  for (std::uint64_t k = 0; k < clients; ++k) {
    key.models.push_back(read_hash(reader, "hash of a model"));
    key.sample_counts.push_back(reader.number<std::int64_t>("sample count"));
  }
  if (reader.remaining() != 0) {
    reader.fail(std::to_string(reader.remaining()) + " bytes after the key");
  }
  return key;
}

std::string decode_checksum(std::span<const std::byte> entry) {
  const std::string_view digits = text(entry);
  if (std::ranges::all_of(digits, [](char c) { return c == '\0'; })) return {};
  if (digits.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    throw DecodeError("[prediction cache] a client's checksum is not 64 hex digits");
  }
  return std::string(digits);
}

void check_padding(std::span<const std::byte> bytes) {
  if (!std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; })) {
    throw DecodeError("[prediction cache] padding is not zero");
  }
}

bool is_hash(const std::string& value) { return !value.empty() && value.size() <= kMaxHashBytes; }

void check_key(const CacheKey& key) {
  if (key.models.empty() || key.models.size() > kMaxClients ||
      key.models.size() != key.sample_counts.size()) {
    throw std::invalid_argument("[prediction cache] " + std::to_string(key.models.size()) +
                                " models, " + std::to_string(key.sample_counts.size()) +
                                " sample counts; expected equally many, 1 to " +
                                std::to_string(kMaxClients));
  }
  if (!is_hash(key.images) || !std::ranges::all_of(key.models, is_hash)) {
    throw std::invalid_argument("[prediction cache] a hash is empty or longer than " +
                                std::to_string(kMaxHashBytes) + " bytes");
  }
  if (std::ranges::any_of(key.sample_counts, [](std::int64_t n) { return n < 0; })) {
    throw std::invalid_argument("[prediction cache] a sample count is negative");
  }
  // Divisions instead of products: nothing here can overflow.
  const std::uint64_t limit = kMaxPredictionBytes / sizeof(float) / key.models.size();
  if (key.samples < 1 || key.classes < 1 || static_cast<std::uint64_t>(key.classes) >= limit ||
      static_cast<std::uint64_t>(key.samples) >
          limit / (static_cast<std::uint64_t>(key.classes) + 1)) {
    throw std::invalid_argument("[prediction cache] " + std::to_string(key.samples) +
                                " samples of " + std::to_string(key.classes) + " classes by " +
                                std::to_string(key.models.size()) +
                                " clients: expected at least one of each and at most 2^46 bytes");
  }
}

void place_parts(CacheHeader& header, std::uint64_t key_bytes) {
  const std::uint64_t clients = header.key.models.size();
  const std::uint64_t rows = clients * static_cast<std::uint64_t>(header.key.samples);
  header.checksums_offset = aligned(kPreambleBytes + key_bytes);
  header.logits_offset = header.checksums_offset + clients * kChecksumBytes;
  header.confidences_offset = aligned(
      header.logits_offset + rows * static_cast<std::uint64_t>(header.key.classes) * sizeof(float));
  header.file_bytes = header.confidences_offset + rows * sizeof(float);
}

}  // namespace

CacheHeader make_cache_header(const CacheKey& key) {
  check_key(key);
  CacheHeader header;
  header.key = key;
  header.checksums.resize(key.models.size());
  place_parts(header, encode_key(key).size());
  return header;
}

std::vector<std::byte> encode_cache_header(const CacheHeader& header) {
  const auto key = encode_key(header.key);
  std::vector<std::byte> out;
  append(out, kMagic);
  append(out, kVersion);
  append(out, static_cast<std::uint32_t>(key.size()));
  append(out, std::string_view(sha256_hex(key)));
  out.insert(out.end(), key.begin(), key.end());
  out.resize(header.checksums_offset);
  for (const std::string& checksum : header.checksums) {
    const std::size_t end = out.size() + kChecksumBytes;
    append(out, std::string_view(checksum));
    out.resize(end);
  }
  return out;
}

CacheHeader decode_cache_header(std::span<const std::byte> bytes) {
  ByteReader reader(kOrigin, bytes);
  if (text(reader.take(kMagic.size(), "magic")) != kMagic) {
    throw DecodeError("[prediction cache] not a prediction cache: wrong magic");
  }
  const auto version = reader.number<std::uint32_t>("version");
  if (version != kVersion) {
    throw DecodeError("[prediction cache] version " + std::to_string(version) + ", expected " +
                      std::to_string(kVersion));
  }
  const auto key_bytes = reader.number<std::uint32_t>("length of the key");
  const auto key_hash = reader.take(kChecksumBytes, "hash of the key");
  const auto key = reader.take(key_bytes, "key");
  if (text(key_hash) != sha256_hex(key)) {
    throw DecodeError("[prediction cache] the key does not match its hash");
  }
  CacheHeader header;
  header.key = decode_key(key);
  try {
    check_key(header.key);
  } catch (const std::invalid_argument& error) {
    throw DecodeError(error.what());
  }
  place_parts(header, key_bytes);
  check_padding(reader.take(header.checksums_offset - kPreambleBytes - key_bytes, "padding"));
  for (std::size_t k = 0; k < header.key.models.size(); ++k) {
    header.checksums.push_back(decode_checksum(reader.take(kChecksumBytes, "checksum")));
  }
  return header;
}

}  // namespace fedstill
