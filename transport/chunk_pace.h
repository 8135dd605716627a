#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace fedstill {

inline constexpr std::size_t kLeastChunkBytes = std::size_t{16} << 10;
inline constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxChunkBytes = std::size_t{4} << 20;

// How large the next chunk on a connection should be. Only whole chunks are kept where the line is
// cut, and count as progress: so a thin line is sent small ones, each of which takes seconds, not
// minutes. Driven by the other side's BlobProgress. Times are on any monotonic clock.
class ChunkPace {
 public:
  using Instant = std::chrono::milliseconds;

  std::size_t bytes() const { return bytes_; }
  void begin(Instant now) { last_ = now; }  // a blob, or the rest of one
  void acknowledged(Instant now) {          // a chunk has arrived
    const Instant took = now - last_;
    last_ = now;
    if (took < kQuick) bytes_ = std::min(2 * bytes_, kChunkBytes);
    if (took > kSlow) bytes_ = std::max(bytes_ / 2, kLeastChunkBytes);
  }

 private:
  static constexpr Instant kQuick{1'000}, kSlow{4'000};
  std::size_t bytes_ = std::size_t{64} << 10;
  Instant last_{0};
};

}  // namespace fedstill
