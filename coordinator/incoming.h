#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "transport/blob_store.h"

namespace fedstill {

// The blobs that clients are sending: one per client, on its way or arrived and not yet claimed.
class Incoming {
 public:
  explicit Incoming(BlobStore& blobs) : blobs_(blobs) {}  // which must outlive it

  // The offset to go on from. Throws std::system_error.
  std::uint64_t begin(const std::string& client, const BlobInfo& blob);
  // Nothing if no such blob is expected of this client, or none any more. Throws DecodeError (a
  // gap), or std::system_error; begin() goes on from what was written.
  const BlobWriter* receive(const std::string& client, const BlobChunk& chunk,
                            std::span<const std::byte> bytes);
  bool has_arrived(const std::string& client, const std::string& sha256) const;
  bool is_expected(const std::string& sha256) const;  // of any client
  const BlobInfo* find(const std::string& client) const;
  void end(const std::string& client);  // what arrived stays on disk
  void clear() { writers_.clear(); }

 private:
  BlobStore& blobs_;
  std::map<std::string, BlobWriter> writers_;
};

}  // namespace fedstill
