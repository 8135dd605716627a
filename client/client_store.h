#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/folder_lock.h"
#include "transport/blob_store.h"

namespace fedstill {

// What a client must not forget: the update it made for a round, so that it is not trained again,
// and the bundles it received, of which it keeps the last two. A small text file `state`, written
// whole, beside `blobs/` (docs/formats.md).
struct MadeUpdate {
  std::string job;  // hash
  std::uint32_t round = 0;
  BlobInfo update;
  bool operator==(const MadeUpdate&) const = default;
};
struct Delivery {
  std::uint32_t round = 0;
  BlobInfo bundle;
  bool operator==(const Delivery&) const = default;
};

// One thread, one process at a time: a second process is refused with std::system_error.
class ClientStore {
 public:
  // Creates or opens. Throws std::system_error, or DecodeError where the file is not such a state.
  explicit ClientStore(const std::filesystem::path& folder, const BlobLimits& limits = {});

  BlobStore& blobs() { return blobs_; }
  const BlobStore& blobs() const { return blobs_; }
  const std::optional<MadeUpdate>& update() const { return state_.update; }
  const std::vector<Delivery>& bundles() const { return state_.bundles; }  // the newest last

  // On disk when they return.
  void record_update(const MadeUpdate& update);
  void forget_update();  // nobody will take it
  void record_bundle(const Delivery& bundle);
  // Removes the blobs that are neither named here nor in the state.
  void keep_only(std::vector<std::string> hashes);

  struct State {
    std::optional<MadeUpdate> update;
    std::vector<Delivery> bundles;
    bool operator==(const State&) const = default;
  };

 private:
  void write(const State& state);

  std::filesystem::path folder_;
  FolderLock lock_;
  BlobStore blobs_;
  State state_;
};

std::string encode_client_state(const ClientStore::State& state);
ClientStore::State decode_client_state(std::string_view text);  // DecodeError

}  // namespace fedstill
