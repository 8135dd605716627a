// How an update that has arrived comes to count.
#include <algorithm>

#include "coordinator/coordinator.h"

namespace fedstill {

Reaction Coordinator::accept_claim(const std::string& peer, const StoredUpload& claim,
                                   Instant now) {
  if (const std::string mismatch = find_mismatch(peer, claim); !mismatch.empty()) {
    const bool of_the_past = claim.round < round_.number();
    return refuse(claim.sha256, of_the_past ? Refusal::kTooLate : Refusal::kFinal, mismatch);
  }
  const Round::Decision decision = round_.consider_upload(peer, claim.sha256, clock(now));
  if (decision == Round::Decision::kDuplicate) return accept(claim);
  if (decision != Round::Decision::kAccept) return refuse(claim.sha256, decision);
  if (!incoming_.has_arrived(peer, claim.sha256)) {
    return refuse(claim.sha256, Refusal::kFinal, "[upload] its blob was not transferred");
  }
  const auto check = [this, mode = claim.mode, file = store_.blobs().path(claim.sha256)] {
    return find_content_problem(file, mode);
  };
  checks_[peer] = {claim, incoming_.find(peer), now < round_.deadline()};
  return elsewhere(check, [this, peer](const auto& problem, Instant then) {
    return conclude(peer, problem, then);
  });
}

// The same questions again: the round may be over, its client excluded or back with another claim.
// It counts also where its client is gone, and hears of it when it comes back.
Reaction Coordinator::conclude(const std::string& peer,
                               const std::shared_future<std::string>& problem, Instant now) {
  const Instant then = clock(now);  // with this check still under way: it came in time
  const Check check = checks_.extract(peer).mapped();
  const StoredUpload& claim = check.claim;
  if (const std::string mismatch = find_mismatch(peer, claim); !mismatch.empty()) {
    return refuse(claim.sha256, Refusal::kTooLate, mismatch);
  }
  const Round::Decision decision = round_.consider_upload(peer, claim.sha256, then);
  if (decision == Round::Decision::kDuplicate) return accept(claim);
  if (decision != Round::Decision::kAccept) return refuse(claim.sha256, decision);
  if (!problem.get().empty()) {
    if (incoming_.is(peer, check.blob)) incoming_.end(peer);
    forget_blob(claim.sha256);
    round_.refuse(peer, then);
    return refuse(claim.sha256, Refusal::kFinal, problem.get());
  }
  store_.record_upload(claim);
  round_.upload(peer, claim.sha256, then);
  if (incoming_.is(peer, check.blob)) incoming_.end(peer);
  record_outcome();
  return accept(claim);
}

// Whoever claimed in time counts, however long we take: until then the round's clock stands just
// before what would end the round without it.
Instant Coordinator::clock(Instant now) const {
  const Instant quiet = round_.last_progress() + options_.round.stalled_after;
  for (const auto& [peer, check] : checks_) {
    if (check.claim.round != round_.number()) continue;
    const Instant end = check.in_time ? std::min(round_.deadline(), quiet) : quiet;
    now = std::min(now, end - Instant{1});
  }
  return now;
}

Reaction Coordinator::accept(const StoredUpload& claim) const {
  Reaction reaction;
  reaction.frames.push_back({Acknowledgement{round_.number(), claim.sha256, true, ""}, {}});
  return reaction;
}

std::string Coordinator::find_mismatch(const std::string& peer, const StoredUpload& claim) const {
  if (claim.client != peer) {
    return "[upload] client: found '" + claim.client + "', the connection is of '" + peer + "'";
  }
  if (claim.round != round_.number()) {
    return "[upload] round: found " + std::to_string(claim.round) + ", expected " +
           std::to_string(round_.number());
  }
  const auto join = joins_.find(peer);
  if (join == joins_.end()) return "[upload] this client has not joined";
  if (claim.mode != join->second.mode) {
    return "[upload] mode: found " + std::string(name(claim.mode)) + ", the join said " +
           std::string(name(join->second.mode));
  }
  if (claim.sample_count != join->second.sample_count) {
    return "[upload] sample_count: found " + std::to_string(claim.sample_count) +
           ", the join said " + std::to_string(join->second.sample_count);
  }
  return {};
}

// On any thread: what it reads does not change.
std::string Coordinator::find_content_problem(const std::filesystem::path& file,
                                              Participation mode) const {
  if (mode == Participation::kPredictions) return find_predictions_problem(file, pool());
  return find_update_problem(file, options_.image, options_.classes, options_.update);
}

}  // namespace fedstill
