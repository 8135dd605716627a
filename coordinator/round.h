#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fedstill {

using Instant = std::chrono::milliseconds;  // on any monotonic clock, passed in

struct RoundOptions {
  int expected_clients = 10;  // closes as soon as this many have uploaded…
  int min_clients = 2;  // …or with this many at the deadline, or when nobody gets on any more
  std::chrono::milliseconds deadline{3'600'000};
  std::chrono::milliseconds silent_after{45'000};    // no frame for so long: silent
  std::chrono::milliseconds stalled_after{600'000};  // no progress for so long: stalled
};

// The round as a pure state machine: events in, decisions out; no clock, no I/O, no threads of its
// own. Every event lets the clock act first, so the outcome does not depend on how often tick() is
// called; a clock that goes back stands still.
//
// Closes when expected_clients have uploaded; with min_clients or more at the deadline, or as soon
// as expected_clients ever joined and nobody made progress for stalled_after. Fails only past the
// deadline and when nobody made progress for stalled_after: what is slow is waited for, what is
// dead is not. A closed or failed round changes no more, except that members come and go.
class Round {
 public:
  // Throws std::invalid_argument unless 1 ≤ min_clients ≤ expected_clients and all times are
  // positive.
  Round(std::uint32_t number, const RoundOptions& options, Instant opened);
  // The round after this one: the same members, nothing uploaded.
  Round next(Instant opened) const;

  enum class State { kCollecting, kClosed, kFailed };
  enum class Member {
    kJoined,
    kFetching,   // the pool or the student
    kTraining,   // says so in its heartbeats
    kUploading,  // bytes of its update arrive
    kUploaded,   // for good in this round, wherever the client is
    kRefused,    // its update was not accepted; it may bring another
    kSilent,     // connected as far as known, but nothing was heard for silent_after
    kStalled,    // heard of, without progress for stalled_after
    kGone,       // its connection ended; may come back
    kExcluded    // by the administrator; may be readmitted
  };
  enum class Decision {
    kAccept,
    kDuplicate,       // said before: answer as before
    kRefuseUnknown,   // never joined
    kRefuseClosed,    // the round is over
    kRefuseConflict,  // this client uploaded something else; the first upload stands
    kRefuseExcluded
  };
  // What is known of a member.
  struct Facts {
    Instant seen{0}, progressed{0}, began{0};           // began: its phase, or to send its update
    std::string phase;                                  // as it says
    std::uint64_t done = 0, total = 0, began_with = 0;  // so much done, or so many bytes
    std::uint64_t received_bytes = 0;                   // of its update
    bool here = false, refused = false, excluded = false;
  };

  // Coming back is accepted, also in a round that is over, for the bundle; a new client not then.
  Decision join(const std::string& client, Instant now);
  void begin_again(const std::string& client, Instant now);  // with other work than before
  void see(const std::string& client, Instant now);          // any frame
  // Progress where the phase changed, or more is done than ever in this phase.
  void heartbeat(const std::string& client, const std::string& phase, std::uint64_t done,
                 std::uint64_t total, Instant now);
  void receive_bytes(const std::string& client, std::uint64_t received_bytes, Instant now);
  // What upload() would answer now, changing nothing but what the clock does.
  Decision consider_upload(const std::string& client, const std::string& sha256, Instant now);
  Decision upload(const std::string& client, const std::string& sha256, Instant now);
  void refuse(const std::string& client, Instant now);
  // Its upload stays. With nobody left who could still upload the round waits: they may come back.
  void leave(const std::string& client, Instant now);
  // Takes a member's upload away unless the round is closed: a failed one may be reopened.
  void exclude(const std::string& client, Instant now);
  void readmit(const std::string& client, Instant now);
  void tick(Instant now);

  // As a store remembers it: over, with the uploads told before, and open for so long before.
  void restore(State state, const std::string& failure);
  void go_on_after(std::chrono::milliseconds open_for) { opened_ -= open_for; }
  // A failed round collects again, with what it has, until a new deadline. Requires: kFailed.
  void reopen(Instant now);

  const RoundOptions& options() const { return options_; }
  State state() const { return state_; }
  std::uint32_t number() const { return number_; }
  Instant deadline() const { return opened_ + options_.deadline; }
  std::chrono::milliseconds open_for() const { return now_ - opened_; }
  Instant last_progress() const { return last_progress_; }
  const std::map<std::string, Facts>& members() const { return members_; }
  Member member(const std::string& client, Instant now) const;  // Requires: a member
  const std::map<std::string, std::string>& uploads() const { return uploads_; }  // client → hash
  const std::string& failure() const { return failure_; }

 private:
  Facts* find(const std::string& client);
  void note_progress(Facts& facts);
  void act();
  bool is_quiet() const;
  std::uint32_t number_;
  RoundOptions options_;
  Instant opened_, now_, last_progress_;
  State state_ = State::kCollecting;
  std::map<std::string, Facts> members_;
  std::size_t excluded_ = 0;
  std::map<std::string, std::string> uploads_;
  std::string failure_;
};

std::string_view name(Round::Member member);  // "training", …

}  // namespace fedstill
