#include "coordinator/coordinator.h"

#include <stdexcept>
#include <utility>

#include "transport/fetch_progress.h"

namespace fedstill {
namespace {

std::string reason_of(Round::Decision decision) {
  switch (decision) {
    case Round::Decision::kAccept:
    case Round::Decision::kDuplicate:
      return {};
    case Round::Decision::kRefuseUnknown:
      return "[round] this client has not joined";
    case Round::Decision::kRefuseClosed:
      return "[round] the round is over";
    case Round::Decision::kRefuseConflict:
      return "[round] this client uploaded something else before";
    case Round::Decision::kRefuseExcluded:
      return "[round] this client is excluded";
  }
  throw std::logic_error("[coordinator] unknown decision");
}

Refusal refusal_of(Round::Decision decision) {
  return decision == Round::Decision::kRefuseClosed ? Refusal::kTooLate : Refusal::kFinal;
}

bool is_here(const Round& round, const std::string& client) {
  const auto member = round.members().find(client);
  return member != round.members().end() && member->second.here;
}

template <typename Claim>
StoredUpload claim_of(const Claim& claim, Participation mode) {
  return {claim.round, claim.client, claim.sha256, claim.sample_count, mode};
}

}  // namespace

Reaction Coordinator::receive(const std::string& peer, Frame frame, Instant real_now) {
  tick(real_now);
  const Instant now = clock(real_now);
  // Another transport's decoder, or none, may stand before this.
  if (const std::string problem = find_problem(frame.message); !problem.empty()) {
    return refuse("", Refusal::kFinal, "[message] " + problem);
  }
  const Message& message = frame.message;
  if (const auto* join = std::get_if<Join>(&message)) return accept_join(peer, *join, now);
  if (std::holds_alternative<Leave>(message)) {
    // Of one whose own join was refused it means nothing: another may be at work under its name.
    if (is_here(round_, peer) || waiting_.contains(peer)) heard_.erase(peer);
    return {};
  }
  if (exclusions_.contains(peer)) return refuse("", Round::Decision::kRefuseExcluded);
  round_.see(peer, now);
  if (joins_.contains(peer)) heard_[peer] = now;
  return receive_work(peer, std::move(frame), now, real_now);
}

Reaction Coordinator::receive_work(const std::string& peer, Frame frame, Instant now,
                                   Instant real_now) {
  const Message& message = frame.message;
  if (const auto* heartbeat = std::get_if<Heartbeat>(&message)) {
    if (heartbeat->round == round_.number()) {
      round_.heartbeat(peer, heartbeat->phase, heartbeat->done, heartbeat->total, now);
    }
    return {};
  }
  if (const auto* offer = std::get_if<BlobOffer>(&message)) return accept_offer(peer, *offer, now);
  if (const auto* chunk = std::get_if<BlobChunk>(&message)) {
    return accept_chunk(peer, *chunk, std::move(frame.body));
  }
  if (const auto* request = std::get_if<BlobRequest>(&message)) {
    return accept_request(peer, *request);
  }
  if (const auto* upload = std::get_if<Upload>(&message)) {
    return accept_claim(peer, claim_of(*upload, Participation::kModel), real_now);
  }
  if (const auto* predictions = std::get_if<Predictions>(&message)) {
    return accept_claim(peer, claim_of(*predictions, Participation::kPredictions), real_now);
  }
  if (const auto* answer = std::get_if<Acknowledgement>(&message)) {
    if (answer->accepted) note_delivery(peer, answer->sha256);
    return {};
  }
  if (const auto* progress = std::get_if<BlobProgress>(&message)) {
    if (const auto at = fetch_progress(plan(), progress->sha256, progress->offset)) {
      round_.heartbeat(peer, at->phase, at->done, at->total, now);
    }
    return {};
  }
  return refuse("", Refusal::kFinal, "[coordinator] a client does not send this message");
}

void Coordinator::leave(const std::string& peer, Instant now) {
  incoming_.end(peer);
  waiting_.erase(peer);
  round_.leave(peer, clock(now));
  record_outcome();
}

void Coordinator::tick(Instant now) {
  const Instant then = clock(now);
  for (const auto& [peer, check] : checks_) round_.see(peer, then);  // it is us who take so long
  round_.tick(then);
  record_outcome();
  note_time();
}

std::vector<Frame> Coordinator::news() const {
  std::vector<Frame> frames;
  if (last_result_) {
    const bool last = last_result_->round == last_round();
    frames.push_back(plain(Bundle{last_result_->round, last_result_->bundle.sha256,
                                  last_result_->bundle.bytes, last}));
  }
  if (!finished() && round_.state() == Round::State::kCollecting) frames.push_back(plain(plan()));
  return frames;
}

bool Coordinator::finished() const { return last_result_ && last_result_->round == last_round(); }

std::vector<AcceptedUpdate> Coordinator::updates() const {
  std::vector<AcceptedUpdate> updates;
  for (const auto& [client, sha256] : round_.uploads()) {
    const StoredJoin& join = joins_.at(client);
    updates.push_back({client, sha256, store_.blobs().path(sha256), join.sample_count, join.mode});
  }
  return updates;
}

PredictionsShape Coordinator::pool() const {
  return {options_.plan.pool_hash, options_.pool_samples, options_.classes};
}

Reaction Coordinator::accept_join(const std::string& peer, const Join& join, Instant now) {
  if (const std::string problem = find_join_problem(peer, join); !problem.empty()) {
    return refuse("", Refusal::kFinal, problem);
  }
  const bool collects = round_.state() == Round::State::kCollecting;
  const bool is_closed = round_.state() == Round::State::kClosed;  // a failed one may be reopened
  StoredJoin stored{round_.number() + (is_closed ? 1 : 0), join.client, join.architecture,
                    join.sample_count, join.mode};
  const auto known = joins_.find(peer);
  if (known != joins_.end()) stored.round = known->second.round;
  const bool is_new = known == joins_.end() || known->second != stored;
  if (is_new && known != joins_.end()) {
    const std::string problem = find_change_problem(known->second, now);
    if (!problem.empty()) return refuse("", Refusal::kFinal, problem);
  }
  if (is_new && !finished()) record(stored, now);
  heard_[peer] = now;
  if (stored.round <= round_.number()) {
    round_.join(peer, now);
  } else {
    waiting_.insert(peer);
  }
  Reaction reaction{news(), {}};
  if (!finished() && !collects) {
    reaction.frames.push_back(
        plain(Acknowledgement{round_.number(), "", true, "the next round has not begun"}));
  }
  return reaction;
}

std::string Coordinator::find_join_problem(const std::string& peer, const Join& join) const {
  if (join.client != peer) {
    return "[join] client: found '" + join.client + "', the connection is of '" + peer + "'";
  }
  if (const auto excluded = exclusions_.find(peer); excluded != exclusions_.end()) {
    return "[join] excluded: " + excluded->second;
  }
  if (join.mode == Participation::kPredictions && options_.pool_samples < 1) {
    return "[join] this job takes models, not predictions";
  }
  if (join.sample_count >= 1 && join.sample_count <= options_.max_sample_count) return {};
  return "[join] sample_count: found " + std::to_string(join.sample_count) + ", expected 1 to " +
         std::to_string(options_.max_sample_count);
}

// On disk before the round knows of it: what was answered survives.
void Coordinator::record(const StoredJoin& join, Instant now) {
  const bool is_known = joins_.contains(join.client);
  is_known ? store_.replace_join(join) : store_.record_join(join);
  joins_.insert_or_assign(join.client, join);
  if (!is_known) return;
  round_.begin_again(join.client, now);
  forget_incoming(join.client);
}

// Nobody is bound to a first attempt that came to nothing. But what was accepted stands, and of two
// at once under one name the one that was there first is not pushed aside.
std::string Coordinator::find_change_problem(const StoredJoin& first, Instant now) const {
  const std::string problem = "[join] the first time it was " + first.architecture + " with " +
                              std::to_string(first.sample_count) + " images, sending " +
                              std::string(name(first.mode)) + ": the same is expected";
  if (store_.has_uploads(first.client)) return problem;
  const Instant patience = options_.round.silent_after;
  const auto heard = heard_.find(first.client);
  const auto member = round_.members().find(first.client);
  const bool was_refused = member != round_.members().end() && member->second.refused;
  const bool is_over = was_refused || heard == heard_.end() || now - heard->second >= patience;
  if (is_over && !checks_.contains(first.client)) return {};
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count();
  return problem + ", unless that one took its leave or was silent for " + std::to_string(seconds) +
         " s";
}

RoundPlan Coordinator::plan() const {
  RoundPlan plan = options_.plan;
  plan.round = round_.number();
  if (last_result_) {
    plan.student = last_result_->student.sha256;
    plan.student_bytes = last_result_->student.bytes;
  }
  return plan;
}

Reaction Coordinator::refuse(const std::string& sha256, Round::Decision decision) const {
  return refuse(sha256, refusal_of(decision), reason_of(decision));
}

Reaction Coordinator::refuse(const std::string& sha256, Refusal refusal,
                             const std::string& reason) const {
  return {{plain(Acknowledgement{round_.number(), is_sha256(sha256) ? sha256 : "", false,
                                 to_free_text(reason), refusal})},
          {}};
}

}  // namespace fedstill
