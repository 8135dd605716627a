#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "model/file_descriptor.h"
#include "transport/blob_store.h"
#include "transport/chunk_pace.h"
#include "transport/frame.h"

namespace fedstill {

// A blob on its way out, one chunk at a time: whoever drives a connection asks for the next one
// when there is room for it, so no more than one is in memory.
class BlobSender {
 public:
  // Throws std::system_error, or std::invalid_argument for an offset past the end.
  BlobSender(const std::filesystem::path& file, BlobInfo blob, std::uint64_t offset);

  // Nothing once all was handed out. Throws DecodeError where the file is shorter than the blob,
  // std::system_error. Requires: max_bytes > 0.
  std::optional<Frame> next_chunk(std::size_t max_bytes = kChunkBytes);

  std::uint64_t offset() const { return offset_; }
  const BlobInfo& blob() const { return blob_; }

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  BlobInfo blob_;
  std::uint64_t offset_;
};

}  // namespace fedstill
