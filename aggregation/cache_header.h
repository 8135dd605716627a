#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// What a prediction cache holds predictions of: change anything here and the cache is another one.
struct CacheKey {
  std::string images;                       // hash of the pool
  std::vector<std::string> models;          // hash of every client's model file, in client order
  std::vector<std::int64_t> sample_counts;  // n_k
  std::int64_t samples = 0, classes = 0;
  bool operator==(const CacheKey&) const = default;
};

// The beginning of a cache file (docs/formats.md) and where everything else lies, in bytes from the
// start of the file.
struct CacheHeader {
  CacheKey key;
  std::vector<std::string> checksums;    // SHA-256 of every client's part; empty: not done
  std::uint64_t checksums_offset = 0;    // K entries of kChecksumBytes
  std::uint64_t logits_offset = 0;       // float32 [K, N, C]
  std::uint64_t confidences_offset = 0;  // float32 [K, N]
  std::uint64_t file_bytes = 0;
};

inline constexpr std::size_t kCacheAlignment = 64;
inline constexpr std::size_t kChecksumBytes = 64;  // hex digits, or zeros while a part is not done

// Places the parts of a fresh cache. Throws std::invalid_argument where the key is not one: no
// clients or more than 2^20, no samples, no classes, lists of different lengths, a hash that is
// empty or longer than 256 bytes, or more than 2^46 bytes of predictions.
CacheHeader make_cache_header(const CacheKey& key);

// Bytes up to logits_offset.
std::vector<std::byte> encode_cache_header(const CacheHeader& header);

// Reads the beginning of a file; what follows the header is ignored. Throws DecodeError. Allocates
// no more than a small multiple of bytes.size().
CacheHeader decode_cache_header(std::span<const std::byte> bytes);

}  // namespace fedstill
