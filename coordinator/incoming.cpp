#include "coordinator/incoming.h"

#include <algorithm>

namespace fedstill {

std::uint64_t Incoming::begin(const std::string& client, const BlobInfo& blob) {
  if (const BlobInfo* before = find(client); before != nullptr && *before != blob) end(client);
  return writers_.try_emplace(client, blobs_, blob, client).first->second.offset();
}

const BlobWriter* Incoming::receive(const std::string& client, const BlobChunk& chunk,
                                    std::span<const std::byte> bytes) {
  const auto place = writers_.find(client);
  if (place == writers_.end() || place->second.blob().sha256 != chunk.sha256) return nullptr;
  try {
    place->second.append(chunk.offset, bytes);
  } catch (...) {
    writers_.erase(place);
    throw;
  }
  return &place->second;
}

bool Incoming::has_arrived(const std::string& client, const std::string& sha256) const {
  const auto place = writers_.find(client);
  return place != writers_.end() && place->second.blob().sha256 == sha256 &&
         place->second.state() == BlobWriter::State::kComplete;
}

bool Incoming::is_expected(const std::string& sha256) const {
  return std::ranges::any_of(
      writers_, [&](const auto& place) { return place.second.blob().sha256 == sha256; });
}

const BlobInfo* Incoming::find(const std::string& client) const {
  const auto place = writers_.find(client);
  return place == writers_.end() ? nullptr : &place->second.blob();
}

void Incoming::end(const std::string& client) { writers_.erase(client); }

}  // namespace fedstill
