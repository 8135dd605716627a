#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "transport/blob_store.h"

namespace fedstill {

// One blob that a client sends. The writer belongs to the errands, of which one runs at a time, the
// rest to the coordinator's thread.
struct IncomingBlob {
  BlobInfo info;
  bool has_arrived = false;
  std::optional<BlobWriter> writer;
};

// What an errand leaves behind.
struct Written {
  BlobWriter::State state = BlobWriter::State::kOpen;
  std::uint64_t offset = 0;
};

// The blobs that clients are sending: one per client, on its way or arrived and not yet claimed.
class Incoming {
 public:
  using Handle = std::shared_ptr<IncomingBlob>;

  // The one under way if it is the same, else a new one in its place.
  Handle expect(const std::string& client, const BlobInfo& blob);
  Handle find(const std::string& client) const;  // or nothing
  bool is(const std::string& client, const Handle& blob) const { return find(client) == blob; }
  bool has_arrived(const std::string& client, const std::string& sha256) const;
  bool is_expected(const std::string& sha256) const;  // of any client
  void end(const std::string& client);                // what arrived stays on disk
  void clear() { blobs_.clear(); }

 private:
  std::map<std::string, Handle> blobs_;
};

}  // namespace fedstill
