#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/blob_store.h"
#include "transport/channel.h"

namespace fedstill {

// A blob from one rank to another, with the messages that sites use (docs/protocol.md): an offer,
// from where it is wanted, chunks, and that it is there.

// The next frame. Throws Stopped when asked to, and what the channel throws.
Frame next_frame(Channel& channel, const std::atomic<bool>& stop);

// Returns when the peer has the whole file. Throws DecodeError where the peer says something else,
// Stopped, ChannelClosed, std::system_error.
void send_blob(Channel& channel, const std::filesystem::path& file, const std::string& sha256,
               const std::string& purpose, const std::atomic<bool>& stop);

// The other side: frames in, answers out.
class BlobIntake {
 public:
  struct Arrived {
    BlobInfo blob;
    std::string purpose;
  };
  // What the owner was sending before goes on where it was. The store must outlive it.
  BlobIntake(BlobStore& store, std::string owner) : store_(store), owner_(std::move(owner)) {}

  // An offer or a chunk; throws DecodeError for anything else, for a wrong hash and for more than
  // the store's limit, std::system_error where it cannot be written.
  std::vector<Frame> receive(const Frame& frame);
  std::optional<Arrived> take();  // what is in the store now, once

 private:
  std::vector<Frame> begin(const BlobOffer& offer);
  std::vector<Frame> go_on(const BlobChunk& chunk, const std::vector<std::byte>& bytes);

  BlobStore& store_;
  std::string owner_, purpose_;
  std::unique_ptr<BlobWriter> writer_;
};

// Waits for one blob of that purpose; it is in the store then.
BlobInfo receive_blob(Channel& channel, BlobStore& store, const std::string& owner,
                      const std::string& purpose, const std::atomic<bool>& stop);

}  // namespace fedstill
