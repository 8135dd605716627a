// What clients send to the coordinator and may fetch from it.
#include <algorithm>

#include "coordinator/coordinator.h"

namespace fedstill {
namespace {

std::string purpose_of(Participation mode) {
  return mode == Participation::kModel ? "update" : "predictions";
}

Written written(const BlobWriter& writer) { return {writer.state(), writer.offset()}; }

}  // namespace

Reaction Coordinator::accept_offer(const std::string& peer, const BlobOffer& offer, Instant now) {
  const Round::Decision decision = round_.consider_upload(peer, offer.sha256, now);
  if (decision == Round::Decision::kDuplicate) {
    return {{plain(BlobRequest{offer.sha256, offer.bytes})}, {}};
  }
  if (decision != Round::Decision::kAccept) return refuse(offer.sha256, decision);
  const Participation mode = joins_.at(peer).mode;
  if (offer.purpose != purpose_of(mode)) {
    return refuse(offer.sha256, Refusal::kFinal,
                  "[blob] purpose: found " + offer.purpose + ", expected " + purpose_of(mode));
  }
  if (offer.bytes > max_bytes(mode)) {
    return refuse(offer.sha256, Refusal::kFinal,
                  "[blob] " + std::to_string(offer.bytes) + " bytes, expected at most " +
                      std::to_string(max_bytes(mode)));
  }
  const BlobInfo info{offer.sha256, offer.bytes};
  const Incoming::Handle before = incoming_.find(peer);
  if (before != nullptr && before->info.sha256 != info.sha256) forget_incoming(peer);
  const Incoming::Handle blob = incoming_.expect(peer, info);
  const auto begin = [blob, peer, &blobs = store_.blobs()] {
    if (!blob->writer) blob->writer.emplace(blobs, blob->info, peer);
    return written(*blob->writer);
  };
  return elsewhere(begin, [this, peer, blob](const auto& result, Instant then) -> Reaction {
    const std::string& sha256 = blob->info.sha256;
    if (!incoming_.is(peer, blob)) return {};  // left, or the round is over
    const Round::Decision again = round_.consider_upload(peer, sha256, clock(then));
    if (again != Round::Decision::kAccept) incoming_.end(peer);
    if (again == Round::Decision::kDuplicate) {
      return {{plain(BlobRequest{sha256, blob->info.bytes})}, {}};
    }
    if (again != Round::Decision::kAccept) return refuse(sha256, again);
    const auto at = take(peer, result);
    if (!at) return refuse_damaged(sha256);
    return {{plain(BlobRequest{sha256, *at})}, {}};
  });
}

Reaction Coordinator::accept_chunk(const std::string& peer, const BlobChunk& chunk,
                                   std::vector<std::byte> body) {
  const Incoming::Handle blob = incoming_.find(peer);
  // Was on its way when its blob was refused.
  if (blob == nullptr || blob->info.sha256 != chunk.sha256) return {};
  const auto bytes = std::make_shared<const std::vector<std::byte>>(std::move(body));
  const auto write = [blob, bytes, offset = chunk.offset] {
    blob->writer.value().append(offset, *bytes);
    return written(*blob->writer);
  };
  return elsewhere(write, [this, peer, blob](const auto& result, Instant then) -> Reaction {
    if (!incoming_.is(peer, blob)) return {};
    const auto at = take(peer, result);
    if (!at) return refuse_damaged(blob->info.sha256);
    round_.receive_bytes(peer, *at, clock(then));
    return {{plain(BlobProgress{blob->info.sha256, *at})}, {}};
  });
}

// What an errand wrote of the blob that the peer sends; nothing where its hash turned out wrong.
// What the errand threw costs the peer's transfer: the next one goes on from what is on disk.
std::optional<std::uint64_t> Coordinator::take(const std::string& peer,
                                               const std::shared_future<Written>& result) {
  try {
    const Written& written = result.get();
    if (written.state == BlobWriter::State::kDamaged) {
      incoming_.end(peer);
      return std::nullopt;
    }
    incoming_.find(peer)->has_arrived = written.state == BlobWriter::State::kComplete;
    return written.offset;
  } catch (...) {
    incoming_.end(peer);
    throw;
  }
}

Reaction Coordinator::refuse_damaged(const std::string& sha256) const {
  return refuse(sha256, Refusal::kFinal, "[blob] what arrived does not have the hash announced");
}

// Answered alike for what is not there and for what is not the peer's business.
Reaction Coordinator::accept_request(const std::string& peer, const BlobRequest& request) const {
  if (!joins_.contains(peer) && !finished()) {
    return refuse(request.sha256, Round::Decision::kRefuseUnknown);
  }
  if (!is_public(request.sha256) || !store_.blobs().has(request.sha256)) {
    return refuse(request.sha256, Refusal::kFinal, "[blob] not announced to this client");
  }
  const BlobInfo blob = store_.blobs().info(request.sha256);
  if (request.offset >= blob.bytes) return {};
  return {{}, Reaction::Transfer{store_.blobs().path(request.sha256), blob, request.offset}};
}

std::uint64_t Coordinator::max_bytes(Participation mode) const {
  const std::uint64_t limit = mode == Participation::kModel ? options_.update.file.max_file_bytes
                                                            : predictions_file_bytes(pool());
  return std::min(limit, store_.blobs().limits().max_blob_bytes);
}

bool Coordinator::is_public(const std::string& sha256) const {
  if (sha256 == options_.plan.pool_hash) return true;
  if (last_result_ && sha256 == last_result_->student.sha256) return true;
  return (last_result_ && sha256 == last_result_->bundle.sha256) ||
         (result_before_ && sha256 == result_before_->bundle.sha256);
}

// An update that nobody needs: refused, or followed by another without being claimed.
void Coordinator::forget_incoming(const std::string& peer) {
  const Incoming::Handle blob = incoming_.find(peer);
  if (blob == nullptr) return;
  incoming_.end(peer);
  forget_blob(blob->info.sha256);
}

void Coordinator::forget_blob(const std::string& sha256) {
  const bool is_used =
      is_public(sha256) || incoming_.is_expected(sha256) ||
      std::ranges::any_of(round_.uploads(),
                          [&](const auto& upload) { return upload.second == sha256; }) ||
      std::ranges::any_of(checks_,
                          [&](const auto& check) { return check.second.claim.sha256 == sha256; });
  if (!is_used) store_.blobs().remove(sha256);
}

}  // namespace fedstill
