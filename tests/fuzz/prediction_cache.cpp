#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "aggregation/cache_header.h"
#include "model/decode_error.h"
#include "model/sha256.h"

namespace {

// What decodes must encode to the same bytes again.
void decode(std::span<const std::byte> bytes) {
  try {
    const auto again = fedstill::encode_cache_header(fedstill::decode_cache_header(bytes));
    if (again.size() > bytes.size() || !std::equal(again.begin(), again.end(), bytes.begin())) {
      __builtin_trap();
    }
  } catch (const fedstill::DecodeError&) {
  }
}

// The key sits behind its hash: without a right one the fuzzer would never get there.
void repair_hash(std::vector<std::byte>& bytes) {
  constexpr std::size_t kLengthAt = 12, kHashAt = 16, kKeyAt = 80;
  if (bytes.size() < kKeyAt) return;
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data() + kLengthAt, sizeof(length));
  const auto key = std::span(bytes).subspan(kKeyAt);
  const std::string hash =
      fedstill::sha256_hex(key.first(std::min<std::size_t>(length, key.size())));
  std::memcpy(bytes.data() + kHashAt, hash.data(), hash.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto given = std::as_bytes(std::span(data, size));
  std::vector<std::byte> bytes(given.begin(), given.end());
  decode(bytes);
  repair_hash(bytes);
  decode(bytes);
  return 0;
}
