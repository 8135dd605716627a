#include "coordinator/coordinator.h"

#include <stdexcept>

#include "model/decode_error.h"
#include "model/sha256.h"

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
      return "[round] this client uploaded another model before";
  }
  throw std::logic_error("[coordinator] unknown decision");
}

const CoordinatorOptions& checked(const CoordinatorOptions& options) {
  if (const std::string problem = find_problem(options.plan); !problem.empty()) {
    throw std::invalid_argument("[coordinator] plan." + problem);
  }
  if (options.classes != options.plan.classes) {
    throw std::invalid_argument("[coordinator] classes: found " + std::to_string(options.classes) +
                                ", the plan says " + std::to_string(options.plan.classes));
  }
  return options;
}

}  // namespace

Coordinator::Coordinator(const CoordinatorOptions& options, Store& store, Instant now)
    : options_(checked(options)), store_(store), round_(options.plan.round, options.round, now) {
  restore(now);
}

std::vector<Frame> Coordinator::receive(const Frame& frame, Instant now) {
  tick(now);
  // Another transport's decoder, or none, may stand before this.
  if (const std::string problem = find_problem(frame.message); !problem.empty()) {
    return {answer(false, "", "[message] " + problem)};
  }
  if (const auto* join = std::get_if<Join>(&frame.message)) return accept_join(*join, now);
  if (const auto* upload = std::get_if<Upload>(&frame.message)) {
    return {accept_upload(*upload, frame.body, now)};
  }
  if (std::holds_alternative<Acknowledgement>(frame.message)) return {};  // of the bundle
  return {answer(false, "", "[coordinator] a client does not send this message")};
}

void Coordinator::leave(const std::string& client, Instant now) {
  round_.leave(client, now);
  record_outcome();
}

void Coordinator::tick(Instant now) {
  round_.tick(now);
  record_outcome();
}

std::vector<Teacher> Coordinator::teachers() const {
  std::vector<Teacher> teachers;
  for (const auto& [client, sha256] : round_.uploads()) {
    teachers.push_back({store_.blob(sha256), sha256, joins_.at(client).sample_count});
  }
  return teachers;
}

std::vector<Frame> Coordinator::accept_join(const Join& join, Instant now) {
  const StoredJoin stored{round_.number(), join.client, join.architecture, join.sample_count};
  if (join.sample_count < 1 || join.sample_count > options_.max_sample_count) {
    return {answer(false, "",
                   "[join] sample_count: found " + std::to_string(join.sample_count) +
                       ", expected 1 to " + std::to_string(options_.max_sample_count))};
  }
  if (const auto known = joins_.find(join.client); known != joins_.end()) {
    if (known->second != stored) return {answer(false, "", "[join] differs from the first one")};
  } else if (round_.state() != Round::State::kCollecting) {
    return {answer(false, "", reason_of(Round::Decision::kRefuseClosed))};
  } else {
    // On disk before the round knows of it: what was answered survives.
    store_.record_join(stored.round, stored.client, stored.architecture, stored.sample_count);
    joins_.emplace(stored.client, stored);
  }
  const Round::Decision decision = round_.join(join.client, now);
  if (const std::string reason = reason_of(decision); !reason.empty()) {
    return {answer(false, "", reason)};
  }
  return {{options_.plan, {}}};
}

Frame Coordinator::accept_upload(const Upload& upload, std::span<const std::byte> body,
                                 Instant now) {
  if (const std::string mismatch = find_mismatch(upload, body); !mismatch.empty()) {
    return answer(false, upload.sha256, mismatch);
  }
  const Round::Decision decision = round_.consider_upload(upload.client, upload.sha256, now);
  if (const std::string reason = reason_of(decision); !reason.empty()) {
    return answer(false, upload.sha256, reason);
  }
  if (decision == Round::Decision::kAccept) {
    const std::string problem =
        find_update_problem(body, options_.image, options_.classes, options_.update);
    if (!problem.empty()) return answer(false, upload.sha256, problem);
    store_.record_upload({upload.round, upload.client, upload.sha256, upload.sample_count}, body);
    round_.upload(upload.client, upload.sha256, now);
    record_outcome();
  }
  return answer(true, upload.sha256, "");
}

std::string Coordinator::find_mismatch(const Upload& upload,
                                       std::span<const std::byte> body) const {
  if (upload.round != round_.number()) {
    return "[upload] round: found " + std::to_string(upload.round) + ", expected " +
           std::to_string(round_.number());
  }
  const auto join = joins_.find(upload.client);
  if (join == joins_.end()) return reason_of(Round::Decision::kRefuseUnknown);
  if (upload.sample_count != join->second.sample_count) {
    return "[upload] sample_count: found " + std::to_string(upload.sample_count) +
           ", the join said " + std::to_string(join->second.sample_count);
  }
  if (sha256_hex(body) != upload.sha256)
    return "[upload] the body does not have the hash announced";
  return {};
}

Frame Coordinator::answer(bool accepted, const std::string& sha256,
                          const std::string& reason) const {
  return {Acknowledgement{round_.number(), is_sha256(sha256) ? sha256 : "", accepted,
                          to_free_text(reason)},
          {}};
}

void Coordinator::restore(Instant now) {
  for (const StoredJoin& join : store_.joins(round_.number())) {
    joins_.emplace(join.client, join);
    round_.join(join.client, now);
  }
  for (const StoredUpload& upload : store_.uploads(round_.number())) {
    const auto join = joins_.find(upload.client);
    if (join == joins_.end() || join->second.sample_count != upload.sample_count) {
      throw DecodeError("[store] the upload of client '" + to_free_text(upload.client, 64) +
                        "' does not belong to its join");
    }
    try {
      store_.blob(upload.sha256);
    } catch (const std::invalid_argument& error) {
      throw DecodeError(error.what());
    }
    round_.upload(upload.client, upload.sha256, now);
  }
  // A round that was over stays over: what the deadline decided depends on the uploads alone.
  outcome_recorded_ = !store_.decisions(round_.number()).empty();
  if (outcome_recorded_) round_.tick(round_.deadline());
  record_outcome();
}

void Coordinator::record_outcome() {
  if (outcome_recorded_ || round_.state() == Round::State::kCollecting) return;
  const bool closed = round_.state() == Round::State::kClosed;
  store_.record_decision(
      round_.number(), closed ? "closed" : "failed",
      closed ? std::to_string(round_.uploads().size()) + " uploads" : round_.failure());
  outcome_recorded_ = true;
}

}  // namespace fedstill
