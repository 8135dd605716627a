#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace fedstill {

using Instant = std::chrono::milliseconds;  // on any monotonic clock, passed in

struct RoundOptions {
  int expected_clients = 10;  // closes as soon as this many have uploaded…
  int min_clients = 2;        // …or at the deadline with at least this many, or fails
  std::chrono::milliseconds deadline{3'600'000};
};

// The round as a pure state machine: events in, decisions out; no clock, no I/O, no threads of its
// own. Every event lets the deadline act first, so the outcome does not depend on how often tick()
// is called. A closed or failed round changes no more, except that members come and go.
class Round {
 public:
  // Throws std::invalid_argument unless 1 ≤ min_clients ≤ expected_clients and the deadline is
  // positive.
  Round(std::uint32_t number, const RoundOptions& options, Instant opened);

  enum class State { kCollecting, kClosed, kFailed };
  enum class Member { kJoined, kUploaded, kGone };
  enum class Decision {
    kAccept,
    kDuplicate,       // said before: answer as before
    kRefuseUnknown,   // never joined
    kRefuseClosed,    // the round is over
    kRefuseConflict,  // this client uploaded something else; the first upload stands
  };

  // Joining again after leaving is accepted, also in a round that is over: a member may come back
  // for its bundle. A new client is refused then.
  Decision join(const std::string& client, Instant now);
  Decision upload(const std::string& client, const std::string& sha256, Instant now);
  // What upload() would answer now, changing nothing but what the deadline does.
  Decision consider_upload(const std::string& client, const std::string& sha256, Instant now);
  // An upload stays when its client leaves. If nobody is left who could still upload, the round
  // waits for the deadline: those who left may come back.
  void leave(const std::string& client, Instant now);
  void tick(Instant now);  // lets the deadline act

  State state() const { return state_; }
  std::uint32_t number() const { return number_; }
  Instant deadline() const { return opened_ + options_.deadline; }  // when tick() will decide
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
