#include "coordinator/incoming.h"

#include <algorithm>

namespace fedstill {

Incoming::Handle Incoming::expect(const std::string& client, const BlobInfo& blob) {
  Handle& place = blobs_[client];
  if (place == nullptr || place->info != blob) {
    place = std::make_shared<IncomingBlob>();
    place->info = blob;
  }
  return place;
}

Incoming::Handle Incoming::find(const std::string& client) const {
  const auto place = blobs_.find(client);
  return place == blobs_.end() ? nullptr : place->second;
}

bool Incoming::has_arrived(const std::string& client, const std::string& sha256) const {
  const Handle blob = find(client);
  return blob != nullptr && blob->info.sha256 == sha256 && blob->has_arrived;
}

bool Incoming::is_expected(const std::string& sha256) const {
  return std::ranges::any_of(
      blobs_, [&](const auto& place) { return place.second->info.sha256 == sha256; });
}

void Incoming::end(const std::string& client) { blobs_.erase(client); }

}  // namespace fedstill
