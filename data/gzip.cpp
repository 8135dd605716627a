#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "data/data_error.h"
#include "data/readers.h"

namespace fedstill {
namespace {

constexpr std::size_t kFirstOutput = std::size_t{1} << 16;
constexpr std::size_t kMostAtOnce = std::numeric_limits<uInt>::max();

[[noreturn]] void fail(std::string_view origin, const std::string& what) {
  throw DataError("[gzip] " + std::string(origin) + ": " + what);
}

// Owns zlib's state while one buffer is inflated.
class Inflater {
 public:
  Inflater(std::vector<std::uint8_t>& bytes, std::string_view origin) : origin_(origin) {
    stream_.next_in = bytes.data();
    stream_.avail_in = static_cast<uInt>(bytes.size());
    // 16 asks zlib for the gzip wrapper, whose checksum and length it then verifies.
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) fail(origin_, "zlib could not start");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills out from `written` on and advances it; true when the last member has ended.
  bool step(std::vector<std::uint8_t>& out, std::size_t& written) {
    stream_.next_out = out.data() + written;
    stream_.avail_out = static_cast<uInt>(std::min(out.size() - written, kMostAtOnce));
    const uInt offered = stream_.avail_out;
    const int code = inflate(&stream_, Z_NO_FLUSH);
    written += offered - stream_.avail_out;
    if (code == Z_STREAM_END) return !next_member();
    const bool starved = stream_.avail_in == 0 && stream_.avail_out > 0;
    if (code == Z_BUF_ERROR || (code == Z_OK && starved)) fail(origin_, "truncated");
    if (code != Z_OK) fail(origin_, std::string("corrupt: ") + reason());
    return false;
  }

 private:
  // A gzip file may hold several members one after the other.
  bool next_member() { return stream_.avail_in > 0 && inflateReset(&stream_) == Z_OK; }
  const char* reason() const { return stream_.msg != nullptr ? stream_.msg : "bad stream"; }

  std::string_view origin_;
  z_stream stream_{};
};

void check_limit(std::size_t size, std::size_t max_bytes, std::string_view origin) {
  if (size > max_bytes) fail(origin, "more than " + std::to_string(max_bytes) + " bytes");
}

}  // namespace

std::vector<std::uint8_t> inflate_if_gzip(std::vector<std::uint8_t> bytes, std::size_t max_bytes,
                                          std::string_view origin) {
  const bool is_gzip = bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B;
  if (!is_gzip) {
    check_limit(bytes.size(), max_bytes, origin);
    return bytes;
  }
  check_limit(bytes.size(), kMostAtOnce, origin);
  // One byte more than allowed is enough to know that there is too much.
  const std::size_t most = max_bytes + (max_bytes < SIZE_MAX ? 1 : 0);
  std::vector<std::uint8_t> out(std::min(kFirstOutput, most));
  std::size_t written = 0;
  Inflater inflater(bytes, origin);
  while (!inflater.step(out, written)) {
    check_limit(written, max_bytes, origin);
    if (written == out.size()) out.resize(out.size() > most / 2 ? most : out.size() * 2);
  }
  check_limit(written, max_bytes, origin);
  out.resize(written);
  return out;
}

}  // namespace fedstill
