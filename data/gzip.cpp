#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "data/data_error.h"
#include "data/readers.h"

namespace fedstill {
namespace {

constexpr std::size_t kLeastOutput = std::size_t{1} << 16;
constexpr std::size_t kMostExpansion = 1032;  // of deflate: 258 bytes from two bits
constexpr std::size_t kLengthBytes = 4;

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};
using Decompressor = std::unique_ptr<libdeflate_decompressor, FreeDecompressor>;

[[noreturn]] void refuse_gzip(std::string_view origin, const std::string& what) {
  throw DataError("[gzip] " + std::string(origin) + ": " + what);
}

void check_limit(std::size_t size, std::size_t max_bytes, std::string_view origin) {
  if (size > max_bytes) refuse_gzip(origin, "more than " + std::to_string(max_bytes) + " bytes");
}

// The length that the file's end claims, but no more than its bytes can become.
std::size_t claimed_length(std::span<const std::uint8_t> bytes) {
  std::size_t claimed = 0;
  if (bytes.size() >= kLengthBytes) {
    for (std::size_t i = 1; i <= kLengthBytes; ++i) {
      claimed = claimed << 8 | bytes[bytes.size() - i];
    }
  }
  return std::clamp(claimed, kLeastOutput, kLeastOutput + bytes.size() * kMostExpansion);
}

}  // namespace

bool is_gzip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B;
}

std::vector<std::uint8_t> inflate_if_gzip(std::span<const std::uint8_t> bytes,
                                          std::size_t max_bytes, std::string_view origin) {
  if (!is_gzip(bytes)) {
    check_limit(bytes.size(), max_bytes, origin);
    return {bytes.begin(), bytes.end()};
  }
  const Decompressor decompressor(libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  // One byte more than allowed is enough to know that there is too much.
  const std::size_t most = max_bytes + (max_bytes < SIZE_MAX ? 1 : 0);
  std::vector<std::uint8_t> out(std::min(claimed_length(bytes), most));
  std::size_t read = 0, written = 0;
  while (read < bytes.size()) {  // a file may hold several members one after the other
    std::size_t taken = 0, made = 0;
    const libdeflate_result result =
        libdeflate_gzip_decompress_ex(decompressor.get(), bytes.data() + read, bytes.size() - read,
                                      out.data() + written, out.size() - written, &taken, &made);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      check_limit(out.size(), most - 1, origin);
      out.resize(out.size() > most / 2 ? most : out.size() * 2);
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS) refuse_gzip(origin, "truncated or corrupt");
    read += taken;
    written += made;
  }
  check_limit(written, max_bytes, origin);
  out.resize(written);
  return out;
}

}  // namespace fedstill
