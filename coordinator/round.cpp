#include "coordinator/round.h"

#include <stdexcept>

namespace fedstill {

Round::Round(std::uint32_t number, const RoundOptions& options, Instant opened)
    : number_(number), options_(options), opened_(opened) {
  if (options.min_clients < 1 || options.expected_clients < options.min_clients) {
    throw std::invalid_argument("[round] min_clients " + std::to_string(options.min_clients) +
                                ", expected_clients " + std::to_string(options.expected_clients) +
                                ": expected 1 ≤ min_clients ≤ expected_clients");
  }
  if (options.deadline.count() <= 0) {
    throw std::invalid_argument("[round] deadline: found " +
                                std::to_string(options.deadline.count()) +
                                " ms, expected more than 0");
  }
}

Round::Decision Round::join(const std::string& client, Instant now) {
  tick(now);
  const auto known = members_.find(client);
  if (known == members_.end()) {
    if (state_ != State::kCollecting) return Decision::kRefuseClosed;
    members_.emplace(client, Member::kJoined);
    return Decision::kAccept;
  }
  if (known->second != Member::kGone) return Decision::kDuplicate;
  known->second = uploads_.contains(client) ? Member::kUploaded : Member::kJoined;
  return Decision::kAccept;
}

Round::Decision Round::consider_upload(const std::string& client, const std::string& sha256,
                                       Instant now) {
  tick(now);
  if (!members_.contains(client)) return Decision::kRefuseUnknown;
  if (const auto uploaded = uploads_.find(client); uploaded != uploads_.end()) {
    return uploaded->second == sha256 ? Decision::kDuplicate : Decision::kRefuseConflict;
  }
  return state_ == State::kCollecting ? Decision::kAccept : Decision::kRefuseClosed;
}

Round::Decision Round::upload(const std::string& client, const std::string& sha256, Instant now) {
  const Decision decision = consider_upload(client, sha256, now);
  if (decision != Decision::kAccept) return decision;
  members_[client] = Member::kUploaded;
  uploads_[client] = sha256;
  close_if_complete();
  return decision;
}

void Round::leave(const std::string& client, Instant now) {
  tick(now);
  if (const auto known = members_.find(client); known != members_.end()) {
    known->second = Member::kGone;
  }
}

void Round::tick(Instant now) {
  if (state_ != State::kCollecting || now < deadline()) return;
  if (uploads_.size() >= static_cast<std::size_t>(options_.min_clients)) {
    state_ = State::kClosed;
    return;
  }
  state_ = State::kFailed;
  failure_ = "[round] " + std::to_string(uploads_.size()) + " uploads at the deadline, expected " +
             std::to_string(options_.min_clients) + " or more";
}

void Round::close_if_complete() {
  if (uploads_.size() >= static_cast<std::size_t>(options_.expected_clients)) {
    state_ = State::kClosed;
  }
}

}  // namespace fedstill
