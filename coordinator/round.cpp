#include "coordinator/round.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "transport/fetch_progress.h"

namespace fedstill {
namespace {

void check_positive(const char* what, std::chrono::milliseconds time) {
  if (time.count() > 0) return;
  throw std::invalid_argument(std::string("[round] ") + what + ": found " +
                              std::to_string(time.count()) + " ms, expected more than 0");
}

void begin(Round::Facts& facts, std::uint64_t with, Instant now) {
  facts.began = now;
  facts.began_with = with;
}

}  // namespace

Round::Round(std::uint32_t number, const RoundOptions& options, Instant opened)
    : number_(number), options_(options), opened_(opened), now_(opened), last_progress_(opened) {
  if (options.min_clients < 1 || options.expected_clients < options.min_clients) {
    throw std::invalid_argument("[round] min_clients " + std::to_string(options.min_clients) +
                                ", expected_clients " + std::to_string(options.expected_clients) +
                                ": expected 1 ≤ min_clients ≤ expected_clients");
  }
  check_positive("deadline", options.deadline);
  check_positive("silent_after", options.silent_after);
  check_positive("stalled_after", options.stalled_after);
}

Round Round::next(Instant opened) const {
  Round round(number_ + 1, options_, std::max(now_, opened));
  for (const auto& [client, facts] : members_) {
    round.members_[client] = {.seen = facts.seen,
                              .progressed = round.opened_,
                              .phase = {},
                              .here = facts.here,
                              .excluded = facts.excluded};
  }
  round.excluded_ = excluded_;
  return round;
}

Round::Decision Round::join(const std::string& client, Instant now) {
  tick(now);
  Facts* known = find(client);
  if (known == nullptr) {
    if (state_ == State::kClosed) return Decision::kRefuseClosed;
    Facts& facts = members_[client];
    facts.here = true;
    facts.seen = now_;
    note_progress(facts);
    return Decision::kAccept;
  }
  if (known->excluded) return Decision::kRefuseExcluded;
  known->seen = now_;
  if (known->here) return Decision::kDuplicate;
  known->here = true;
  known->progressed = now_;  // of the member; the round does not get on by somebody's coming back
  return Decision::kAccept;
}

void Round::begin_again(const std::string& client, Instant now) {
  tick(now);
  Facts* facts = find(client);
  if (facts == nullptr) return;
  *facts = {.seen = now_, .progressed = now_, .phase = {}, .excluded = facts->excluded};
}

void Round::see(const std::string& client, Instant now) {
  tick(now);
  if (Facts* facts = find(client)) facts->seen = now_;
}

void Round::heartbeat(const std::string& client, const std::string& phase, std::uint64_t done,
                      std::uint64_t total, Instant now) {
  tick(now);
  Facts* facts = find(client);
  if (facts == nullptr) return;
  facts->seen = now_;
  facts->total = total;
  if (phase == facts->phase && done <= facts->done) return;
  if (phase != facts->phase) begin(*facts, done, now_);
  facts->phase = phase;
  facts->done = done;
  note_progress(*facts);
}

void Round::receive_bytes(const std::string& client, std::uint64_t received_bytes, Instant now) {
  tick(now);
  Facts* facts = find(client);
  if (facts == nullptr) return;
  facts->seen = now_;
  if (received_bytes <= facts->received_bytes) return;
  if (facts->received_bytes == 0) begin(*facts, received_bytes, now_);
  facts->received_bytes = received_bytes;
  note_progress(*facts);
}

Round::Decision Round::consider_upload(const std::string& client, const std::string& sha256,
                                       Instant now) {
  tick(now);
  const Facts* facts = find(client);
  if (facts == nullptr) return Decision::kRefuseUnknown;
  if (facts->excluded) return Decision::kRefuseExcluded;
  if (const auto uploaded = uploads_.find(client); uploaded != uploads_.end()) {
    return uploaded->second == sha256 ? Decision::kDuplicate : Decision::kRefuseConflict;
  }
  return state_ == State::kCollecting ? Decision::kAccept : Decision::kRefuseClosed;
}

Round::Decision Round::upload(const std::string& client, const std::string& sha256, Instant now) {
  const Decision decision = consider_upload(client, sha256, now);
  if (decision != Decision::kAccept) return decision;
  Facts& facts = *find(client);
  facts.seen = now_;
  facts.refused = false;
  note_progress(facts);
  uploads_[client] = sha256;
  act();
  return decision;
}

void Round::refuse(const std::string& client, Instant now) {
  tick(now);
  if (Facts* facts = find(client)) {
    facts->refused = true;
    facts->received_bytes = 0;
  }
}

void Round::leave(const std::string& client, Instant now) {
  tick(now);
  if (Facts* facts = find(client)) facts->here = false;
}

void Round::exclude(const std::string& client, Instant now) {
  tick(now);
  Facts* facts = find(client);
  if (facts == nullptr || facts->excluded) return;
  ++excluded_;
  facts->excluded = true;
  if (state_ != State::kClosed) uploads_.erase(client);
}

void Round::readmit(const std::string& client, Instant now) {
  tick(now);
  Facts* facts = find(client);
  if (facts == nullptr || !facts->excluded) return;
  --excluded_;
  *facts = {.seen = now_, .progressed = now_, .phase = {}};
}

void Round::tick(Instant now) {
  now_ = std::max(now_, now);
  act();
}

void Round::restore(State state, const std::string& failure) {
  state_ = state;
  failure_ = failure;
}

void Round::reopen(Instant now) {
  if (state_ != State::kFailed) throw std::logic_error("[round] only a failed round is reopened");
  now_ = std::max(now_, now);
  opened_ = last_progress_ = now_;
  state_ = State::kCollecting;
  failure_.clear();
}

Round::Member Round::member(const std::string& client, Instant now) const {
  const Facts& facts = members_.at(client);
  const Instant at = std::max(now_, now);
  if (facts.excluded) return Member::kExcluded;
  if (uploads_.contains(client)) return Member::kUploaded;
  if (!facts.here) return Member::kGone;
  if (at - facts.seen >= options_.silent_after) return Member::kSilent;
  if (facts.refused) return Member::kRefused;
  if (at - facts.progressed >= options_.stalled_after) return Member::kStalled;
  if (facts.received_bytes > 0) return Member::kUploading;
  if (facts.phase.empty()) return Member::kJoined;
  return facts.phase == kFetchingPhase ? Member::kFetching : Member::kTraining;
}

Round::Facts* Round::find(const std::string& client) {
  const auto place = members_.find(client);
  return place == members_.end() ? nullptr : &place->second;
}

void Round::note_progress(Facts& facts) {
  facts.progressed = now_;
  last_progress_ = now_;
}

bool Round::is_quiet() const { return now_ - last_progress_ >= options_.stalled_after; }

// In constant time: it runs at every event of any client.
void Round::act() {
  if (state_ != State::kCollecting) return;
  const auto expected = static_cast<std::size_t>(options_.expected_clients);
  const bool is_late = now_ >= deadline();
  const bool all_came = members_.size() - excluded_ >= expected;
  if (uploads_.size() >= expected) {
    state_ = State::kClosed;
  } else if (uploads_.size() >= static_cast<std::size_t>(options_.min_clients)) {
    if (is_late || (all_came && is_quiet())) state_ = State::kClosed;
  } else if (is_late && is_quiet()) {
    state_ = State::kFailed;
    failure_ = "[round] " + std::to_string(uploads_.size()) +
               " uploads past the deadline and nobody gets on, expected " +
               std::to_string(options_.min_clients) + " or more";
  }
}

std::string_view name(Round::Member member) {
  constexpr std::string_view kNames[] = {"joined",   "fetching", "training", "uploading",
                                         "uploaded", "refused",  "silent",   "stalled",
                                         "gone",     "excluded"};
  return kNames[static_cast<std::size_t>(member)];
}

}  // namespace fedstill
