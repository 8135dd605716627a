#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace fedstill {

using Instant = std::chrono::milliseconds;  // on any monotonic clock, passed in

struct RoundOptions {
  int expected_clients = 10;  // closes as soon as this many have uploaded…
  int min_clients = 2;        // …or at the deadline with at least this many, or fails
  std::chrono::milliseconds deadline{3'600'000};
};

// The round as a pure state machine: events in, decisions out; no clock, no I/O, no threads of its
// own.
class Round {
 public:
  Round(std::uint32_t number, const RoundOptions& options, Instant opened);

  enum class State { kCollecting, kClosed, kFailed };
  enum class Member { kJoined, kUploaded, kGone };
  enum class Decision { kAccept, kDuplicate, kRefuseUnknown, kRefuseClosed };

  Decision join(const std::string& client, Instant now);
  Decision upload(const std::string& client, const std::string& sha256,
                  Instant now);  // the same hash again: kDuplicate
  void leave(const std::string& client, Instant now);
  void tick(Instant now);  // lets the deadline act

  State state() const { return state_; }
  std::uint32_t number() const { return number_; }
  const std::map<std::string, Member>& members() const { return members_; }
  const std::map<std::string, std::string>& uploads() const { return uploads_; }  // client → hash
  const std::string& failure() const { return failure_; }

 private:
  void close_if_complete();
  std::uint32_t number_;
  RoundOptions options_;
  Instant opened_;
  State state_ = State::kCollecting;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> uploads_;
  std::string failure_;
};

}  // namespace fedstill
