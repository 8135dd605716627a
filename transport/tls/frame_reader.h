#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "transport/frame.h"

namespace fedstill {

// Puts frames together from bytes that arrive in any pieces. The body is read straight into the
// frame's own vector, which grows with what arrives, never with what the header claims.
class FrameReader {
 public:
  explicit FrameReader(const FrameLimits& limits) : limits_(limits) {}

  // Where the next bytes belong; never empty. Valid until took().
  std::span<std::byte> wanted();
  // The first `count` bytes of wanted() were filled. Returns the frame they complete. Throws
  // DecodeError, after which the reader is of no more use.
  std::optional<Frame> took(std::size_t count);
  bool is_inside_frame() const { return header_filled_ > 0; }

  // A body that is no longer needed: the next one goes into the same memory, which neither has to
  // be cleared nor fetched from the system again.
  void recycle(std::vector<std::byte> body) {
    if (body.size() > spare_.size()) spare_ = std::move(body);
  }
  void drop_spare() { spare_ = {}; }

 private:
  bool take_header(std::size_t count);    // these return whether their part
  bool take_metadata(std::size_t count);  // is complete
  Frame finish();

  FrameLimits limits_;
  std::array<std::byte, kFrameHeaderBytes> header_bytes_{};
  std::size_t header_filled_ = 0;
  FrameHeader header_;
  std::vector<std::byte> metadata_;
  std::size_t metadata_filled_ = 0;
  std::optional<Message> message_;
  std::vector<std::byte> body_, spare_;
  std::size_t body_filled_ = 0;
};

}  // namespace fedstill
