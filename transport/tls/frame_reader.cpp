#include "transport/tls/frame_reader.h"

#include <algorithm>
#include <cassert>

#include "transport/archive.h"

namespace fedstill {
namespace {

// Address space for a whole chunk costs nothing until it is touched…
constexpr std::uint64_t kReserveBytes = std::uint64_t{8} << 20;
// …which happens step by step, in the cache, just before the bytes arrive.
constexpr std::size_t kStepBytes = 256 * 1024;

}  // namespace

std::span<std::byte> FrameReader::wanted() {
  if (header_filled_ < kFrameHeaderBytes) return std::span(header_bytes_).subspan(header_filled_);
  if (!message_) return std::span(metadata_).subspan(metadata_filled_);
  if (body_filled_ == body_.size()) {
    const std::uint64_t rest = header_.body_bytes - body_filled_;
    body_.resize(body_filled_ +
                 static_cast<std::size_t>(std::min<std::uint64_t>(rest, kStepBytes)));
  }
  const auto rest = std::span(body_).subspan(body_filled_);
  return rest.first(std::min(rest.size(), kStepBytes));
}

std::optional<Frame> FrameReader::took(std::size_t count) {
  if (header_filled_ < kFrameHeaderBytes) {
    if (!take_header(count)) return std::nullopt;
    count = 0;
  }
  if (!message_) {
    if (!take_metadata(count)) return std::nullopt;
    count = 0;
  }
  body_filled_ += count;
  if (body_filled_ < header_.body_bytes) return std::nullopt;
  return finish();
}

bool FrameReader::take_header(std::size_t count) {
  header_filled_ += count;
  assert(header_filled_ <= kFrameHeaderBytes);
  if (header_filled_ < kFrameHeaderBytes) return false;
  header_ = decode_header(header_bytes_, limits_);
  metadata_.resize(header_.metadata_bytes);
  metadata_filled_ = 0;
  return true;
}

bool FrameReader::take_metadata(std::size_t count) {
  metadata_filled_ += count;
  if (metadata_filled_ < metadata_.size()) return false;
  ArchiveLimits limits;
  limits.max_bytes = limits_.max_metadata_bytes;
  message_ = decode_message(header_.kind, metadata_, limits);
  if (header_.body_bytes > 0) body_ = std::exchange(spare_, {});
  if (body_.size() > header_.body_bytes) body_.resize(header_.body_bytes);
  body_.reserve(static_cast<std::size_t>(std::min(header_.body_bytes, kReserveBytes)));
  body_filled_ = 0;
  return true;
}

Frame FrameReader::finish() {
  Frame frame{std::move(*message_), std::exchange(body_, {})};
  message_.reset();
  metadata_.clear();
  header_filled_ = 0;
  return frame;
}

}  // namespace fedstill
