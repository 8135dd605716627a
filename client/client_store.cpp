#include "client/client_store.h"

#include <algorithm>
#include <sstream>
#include <system_error>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/text_file.h"
#include "transport/message.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstLine = "fedstill-client-1";
constexpr std::size_t kMaxStateBytes = 4096;
constexpr std::size_t kBundlesKept = 2;

fs::path make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw std::system_error(error, "[client] " + folder.string());
  return folder;
}

std::string blob_text(const BlobInfo& blob) {
  return blob.sha256 + " " + std::to_string(blob.bytes);
}

ClientStore::State read_state(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const std::string text = read_text(file, kMaxStateBytes);
  try {
    return decode_client_state(text);
  } catch (const DecodeError& error) {
    throw DecodeError(file.string() + ": " + error.what());
  }
}

}  // namespace

ClientStore::ClientStore(const fs::path& folder, const BlobLimits& limits)
    : folder_(make_folder(folder)),
      lock_(folder, "[client]", "another client is using this folder"),
      blobs_(folder / "blobs", limits),
      state_(read_state(folder / "state")) {}

void ClientStore::record_update(const MadeUpdate& update) {
  State state = state_;
  state.update = update;
  write(state);
}

void ClientStore::forget_update() {
  State state = state_;
  state.update.reset();
  write(state);
}

void ClientStore::record_bundle(const Delivery& bundle) {
  State state = state_;
  std::erase_if(state.bundles, [&](const Delivery& known) { return known == bundle; });
  state.bundles.push_back(bundle);
  if (state.bundles.size() > kBundlesKept) state.bundles.erase(state.bundles.begin());
  write(state);
}

void ClientStore::keep_only(std::vector<std::string> hashes) {
  if (state_.update) hashes.push_back(state_.update->update.sha256);
  for (const Delivery& delivery : state_.bundles) hashes.push_back(delivery.bundle.sha256);
  for (const BlobInfo& blob : blobs_.list()) {
    if (std::ranges::find(hashes, blob.sha256) == hashes.end()) blobs_.remove(blob.sha256);
  }
}

void ClientStore::write(const State& state) {
  if (state == state_) return;
  write_file_atomically(folder_ / "state", encode_client_state(state));
  state_ = state;
}

std::string encode_client_state(const ClientStore::State& state) {
  std::string text = std::string(kFirstLine) + "\n";
  if (state.update) {
    text += "update " + state.update->job + " " + std::to_string(state.update->round) + " " +
            blob_text(state.update->update) + "\n";
  }
  for (const Delivery& delivery : state.bundles) {
    text += "bundle " + std::to_string(delivery.round) + " " + blob_text(delivery.bundle) + "\n";
  }
  return text;
}

// Reads generously, then accepts only what would be written so.
ClientStore::State decode_client_state(std::string_view text) {
  std::istringstream words{std::string(text)};
  ClientStore::State state;
  std::string word;
  words >> word;
  while (words >> word) {
    if (word == "update") {
      MadeUpdate& update = state.update.emplace();
      words >> update.job >> update.round >> update.update.sha256 >> update.update.bytes;
      if (!is_sha256(update.job) || !is_sha256(update.update.sha256)) break;
    } else {
      Delivery& delivery = state.bundles.emplace_back();
      words >> delivery.round >> delivery.bundle.sha256 >> delivery.bundle.bytes;
      if (!is_sha256(delivery.bundle.sha256)) break;
    }
  }
  const bool whole = words.eof() && state.bundles.size() <= kBundlesKept;
  if (whole && encode_client_state(state) == text) return state;
  throw DecodeError("[client] this is not the state of a client");
}

}  // namespace fedstill
