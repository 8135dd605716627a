// What clients send to the coordinator and may fetch from it.
#include <algorithm>

#include "coordinator/coordinator.h"

namespace fedstill {
namespace {

Frame plain(Message message) { return {std::move(message), {}}; }

std::string purpose_of(Participation mode) {
  return mode == Participation::kModel ? "update" : "predictions";
}

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
  const BlobInfo blob{offer.sha256, offer.bytes};
  const BlobInfo* before = incoming_.find(peer);
  if (before != nullptr && before->sha256 != blob.sha256) forget_incoming(peer);
  return {{plain(BlobRequest{offer.sha256, incoming_.begin(peer, blob)})}, {}};
}

Reaction Coordinator::accept_chunk(const std::string& peer, const BlobChunk& chunk,
                                   std::span<const std::byte> body, Instant now) {
  const BlobWriter* writer = incoming_.receive(peer, chunk, body);
  if (writer == nullptr) return {};  // was on its way when its blob was refused
  if (writer->state() == BlobWriter::State::kDamaged) {
    incoming_.end(peer);
    return refuse(chunk.sha256, Refusal::kFinal,
                  "[blob] what arrived does not have the hash announced");
  }
  round_.receive_bytes(peer, writer->offset(), now);
  return {{plain(BlobProgress{chunk.sha256, writer->offset()})}, {}};
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
  const BlobInfo* blob = incoming_.find(peer);
  if (blob == nullptr) return;
  const std::string sha256 = blob->sha256;
  incoming_.end(peer);
  const bool is_used = is_public(sha256) || incoming_.is_expected(sha256) ||
                       std::ranges::any_of(round_.uploads(), [&](const auto& upload) {
                         return upload.second == sha256;
                       });
  if (!is_used) store_.blobs().remove(sha256);
}

}  // namespace fedstill
