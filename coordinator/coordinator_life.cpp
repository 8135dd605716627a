// How a coordinator begins, goes from round to round and is taken up after a restart.
#include <limits>
#include <stdexcept>
#include <system_error>

#include "coordinator/coordinator.h"
#include "model/decode_error.h"
#include "transport/message.h"

namespace fedstill {
namespace {

constexpr std::chrono::seconds kNoteEvery{10};  // what a kill may add to a deadline

const CoordinatorOptions& checked(const CoordinatorOptions& options) {
  if (const std::string problem = find_problem(options.plan); !problem.empty()) {
    throw std::invalid_argument("[coordinator] plan." + problem);
  }
  if (options.classes != options.plan.classes) {
    throw std::invalid_argument("[coordinator] classes: found " + std::to_string(options.classes) +
                                ", the plan says " + std::to_string(options.plan.classes));
  }
  if (options.plan.rounds < 1 ||
      options.plan.rounds > std::numeric_limits<std::uint32_t>::max() - options.plan.round) {
    throw std::invalid_argument("[coordinator] plan.rounds: found " +
                                std::to_string(options.plan.rounds) + ", expected 1 or more");
  }
  return options;
}

// The last round begun.
std::uint32_t round_to_take_up(const CoordinatorOptions& options,
                               const std::vector<StoredResult>& results) {
  const std::uint32_t first = options.plan.round, last = first + options.plan.rounds - 1;
  if (results.empty()) return first;
  return results.back().round < last ? results.back().round + 1 : last;
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, Store& store, Instant now)
    : options_(checked(options)),
      store_(store),
      round_(round_to_take_up(options, store.results()), options.round, now) {
  store_.record_job(options.plan.job);
  restore(now);
}

Reaction Coordinator::publish(const BlobInfo& bundle, const BlobInfo& student, Instant now) {
  if (round_.state() != Round::State::kClosed || finished()) {
    throw std::logic_error("[coordinator] results of a round that is not closed");
  }
  const StoredResult result{round_.number(), bundle, student};
  store_.record_result(result);
  result_before_ = last_result_;
  last_result_ = result;
  delivered_.clear();
  incoming_.clear();
  if (finished()) return tidy_blobs();
  round_ = round_.next(now);
  noted_ = std::chrono::milliseconds{0};
  outcome_recorded_ = false;
  admit_new_members(now);
  return tidy_blobs();
}

// Who has the last bundle ends, and cannot be asked again after a restart.
void Coordinator::note_delivery(const std::string& peer, const std::string& sha256) {
  if (!last_result_ || sha256 != last_result_->bundle.sha256) return;
  if (!joins_.contains(peer) || delivered_.contains(peer)) return;
  store_.record_delivery(last_result_->round, peer);
  delivered_.insert(peer);
}

void Coordinator::exclude(const std::string& client, const std::string& reason, Instant now) {
  tick(now);
  if (!joins_.contains(client)) {
    throw std::invalid_argument("[coordinator] '" + to_free_text(client, 64) + "' never joined");
  }
  const bool may_close = round_.state() != Round::State::kClosed;
  const StoredExclusion exclusion{client, to_free_text(reason, 256)};
  store_.record_exclusion(exclusion, round_.number(), may_close);
  exclusions_[client] = exclusion.reason;
  round_.exclude(client, clock(now));
  incoming_.end(client);
}

void Coordinator::readmit(const std::string& client, Instant now) {
  tick(now);
  if (!exclusions_.contains(client)) return;
  store_.record_readmission(client, round_.number());
  exclusions_.erase(client);
  round_.readmit(client, clock(now));
}

void Coordinator::reopen(Instant now) {
  if (round_.state() != Round::State::kFailed) {
    throw std::logic_error("[coordinator] only a failed round is reopened");
  }
  store_.record_reopening(round_.number());
  round_.reopen(now);
  noted_ = std::chrono::milliseconds{0};
  outcome_recorded_ = false;
}

void Coordinator::restore(Instant now) {
  const auto results = store_.results();
  if (!results.empty()) {
    last_result_ = results.back();
    for (const std::string& client : store_.deliveries(last_result_->round)) {
      delivered_.insert(client);
    }
  }
  if (results.size() > 1) result_before_ = results[results.size() - 2];
  for (const StoredJoin& join : store_.joins(std::numeric_limits<std::uint32_t>::max())) {
    joins_.emplace(join.client, join);
    heard_[join.client] = now;  // perhaps: it may be at work and only the line is gone
  }
  admit_new_members(now);
  restore_uploads(now);
  for (const StoredExclusion& exclusion : store_.exclusions()) {
    exclusions_[exclusion.client] = exclusion.reason;
    round_.exclude(exclusion.client, now);
  }
  record_outcome();
  // Last: a deadline that passed meanwhile acts when all that was uploaded is known.
  noted_ = store_.open_time(round_.number());
  round_.go_on_after(noted_);
}

// Uploads before the outcome, and that before the exclusions: an update that counted when the round
// closed counts whatever became of its client.
void Coordinator::restore_uploads(Instant now) {
  Round::State outcome = Round::State::kCollecting;
  std::string failure;
  for (const StoredDecision& decision : store_.decisions(round_.number())) {
    if (decision.what == "closed") outcome = Round::State::kClosed;
    if (decision.what == "failed") outcome = Round::State::kFailed;
    if (decision.what == "reopened") outcome = Round::State::kCollecting;
    if (decision.what == "failed") failure = decision.details;
  }
  for (const StoredUpload& upload : store_.uploads(round_.number())) {
    const auto join = joins_.find(upload.client);
    if (join == joins_.end() || join->second.sample_count != upload.sample_count ||
        join->second.mode != upload.mode) {
      throw DecodeError("[store] the upload of client '" + to_free_text(upload.client, 64) +
                        "' does not belong to its join");
    }
    std::string problem;
    try {
      store_.blob(upload.sha256);
    } catch (const std::invalid_argument& error) {
      problem = error.what();
    } catch (const DecodeError& error) {
      problem = error.what();
    }
    if (problem.empty()) {
      round_.upload(upload.client, upload.sha256, now);
    } else if (outcome == Round::State::kClosed) {
      throw DecodeError(problem);
    } else {
      store_.blobs().remove(upload.sha256);
      store_.forget_upload(upload.round, upload.client, problem);
    }
  }
  if (outcome == Round::State::kCollecting) return;
  round_.restore(outcome, outcome == Round::State::kFailed ? failure : "");
  outcome_recorded_ = true;
}

// Everybody who joined before or while the last round was closed.
void Coordinator::admit_new_members(Instant now) {
  for (const auto& [client, join] : joins_) {
    if (join.round > round_.number() || round_.members().contains(client)) continue;
    round_.join(client, now);
    if (!waiting_.contains(client)) round_.leave(client, now);
    if (exclusions_.contains(client)) round_.exclude(client, now);
  }
  waiting_.clear();
}

// What is left over from earlier rounds. A blob too many does no harm.
Reaction Coordinator::tidy_blobs() const {
  std::set<std::string> keep{options_.plan.pool_hash, last_result_->bundle.sha256,
                             last_result_->student.sha256};
  if (result_before_) keep.insert(result_before_->bundle.sha256);
  for (const auto& [client, sha256] : round_.uploads()) keep.insert(sha256);
  const auto tidy = [&store = store_, keep = std::move(keep)] {
    try {
      store.keep_only(keep);
    } catch (const std::system_error&) {
    }
  };
  return elsewhere(tidy, [](const auto&, Instant) { return Reaction{}; });
}

void Coordinator::record_outcome() {
  if (outcome_recorded_ || round_.state() == Round::State::kCollecting) return;
  const bool closed = round_.state() == Round::State::kClosed;
  store_.record_decision(
      round_.number(), closed ? "closed" : "failed",
      closed ? std::to_string(round_.uploads().size()) + " uploads" : round_.failure());
  outcome_recorded_ = true;
}

void Coordinator::record_time() {
  if (round_.state() == Round::State::kCollecting) noted_ = round_.open_for();
  store_.record_open_time(round_.number(), noted_);
}

// The time spent collecting on the monotonic clock, not when the round began on the wall's: a clock
// that jumps changes nothing, and an hour without a coordinator costs the clients none of theirs.
void Coordinator::note_time() {
  const std::chrono::milliseconds open_for = round_.open_for();
  if (round_.state() != Round::State::kCollecting || open_for - noted_ < kNoteEvery) return;
  try {
    record_time();
  } catch (const std::system_error&) {  // a full disk: some seconds more for the clients
  }
}

}  // namespace fedstill
