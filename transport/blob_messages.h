#pragma once

#include <cstdint>
#include <string>

namespace fedstill {

inline constexpr std::uint64_t kMaxBlobBytes = std::uint64_t{1} << 46;

// How bytes too long for one frame travel (docs/protocol.md). Either side may be the sender.
struct BlobOffer {     // I have this and want you to have it
  std::string sha256;  // of the whole blob
  std::uint64_t bytes = 0;
  std::string purpose;  // a name: "update", "predictions"
  bool operator==(const BlobOffer&) const = default;
};
// Send me this from there. As the answer to an offer, an offset of all bytes says: I have it.
struct BlobRequest {
  std::string sha256;
  std::uint64_t offset = 0;
  bool operator==(const BlobRequest&) const = default;
};
struct BlobChunk {  // the body holds the bytes from `offset` on, at least one
  std::string sha256;
  std::uint64_t offset = 0;
  bool operator==(const BlobChunk&) const = default;
};
// So many bytes are written; at the last one the hash was right and the blob is kept.
struct BlobProgress {
  std::string sha256;
  std::uint64_t offset = 0;
  bool operator==(const BlobProgress&) const = default;
};

}  // namespace fedstill
