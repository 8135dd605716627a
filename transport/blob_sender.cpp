#include "transport/blob_sender.h"

#include <fcntl.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "model/decode_error.h"

namespace fedstill {

BlobSender::BlobSender(const std::filesystem::path& file, BlobInfo blob, std::uint64_t offset)
    : path_(file), file_(file, O_RDONLY), blob_(std::move(blob)), offset_(offset) {
  if (offset > blob_.bytes) {
    throw std::invalid_argument("[blob] offset " + std::to_string(offset) + " of " +
                                std::to_string(blob_.bytes) + " bytes");
  }
}

std::optional<Frame> BlobSender::next_chunk(std::size_t max_bytes) {
  if (offset_ == blob_.bytes) return std::nullopt;
  Frame frame{BlobChunk{blob_.sha256, offset_}, {}};
  const std::uint64_t left = blob_.bytes - offset_;
  frame.body.resize(
      static_cast<std::size_t>(std::min<std::uint64_t>({left, max_bytes, kMaxChunkBytes})));
  frame.body.resize(file_.read_at(offset_, frame.body));
  if (frame.body.empty()) {
    throw DecodeError("[blob] " + path_.string() + " ends at " + std::to_string(offset_) +
                      ", expected " + std::to_string(blob_.bytes) + " bytes");
  }
  offset_ += frame.body.size();
  return frame;
}

}  // namespace fedstill
