#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "client/client_session.h"
#include "transport/channel.h"

namespace fedstill {

// How far the work is, from the thread that works to the one that talks.
class WorkProgress {
 public:
  struct Report {
    std::string phase = "training";
    std::uint64_t done = 0, total = 0;
  };
  void report(Report report);
  Report last() const;

 private:
  mutable std::mutex mutex_;
  Report report_;
};

// What a site does when asked, and what it wants to know. All but make_update are called from the
// thread of take_part().
struct SiteWork {
  // Makes the update of the plan, which the session's store holds pool and student of, and returns
  // its file. On a thread of its own; `stop` is set when nobody wants the update any more, and
  // what is thrown or returned after that is ignored.
  std::function<std::filesystem::path(const RoundPlan& plan, WorkProgress& progress,
                                      const std::atomic<bool>& stop)>
      make_update;
  std::function<void(ClientSession::State state)> on_state = {};
  // Each as soon as it is whole; the newest once more after a start, as a kill may have come
  // between.
  std::function<void(const Delivery& bundle, const std::filesystem::path& file)> on_bundle = {};
  std::function<void(const Frame& frame, bool received)> on_frame = {};  // e.g. for an audit log
  std::function<void(const std::string& what)> on_trouble = {};          // a cut; it is tried again
};

struct ParticipantOptions {
  std::chrono::milliseconds first_wait{1'000};     // before connecting again; doubles…
  std::chrono::milliseconds longest_wait{60'000};  // …up to this, with some randomness
  std::chrono::milliseconds poll{50};              // how late a finished update may be noticed
  std::chrono::milliseconds heartbeat{0};          // 0: as the coordinator asks
  int missed_heartbeats = 4;                       // then the connection counts as dead
  std::chrono::milliseconds refused_for{std::chrono::hours(24)};  // in a row, for who we are
  std::size_t chunk_bytes = kChunkBytes;
};

enum class Ending { kDone, kRefused, kStopped };

// One site from its first Join to the last bundle: connects, talks, works, sends, and connects
// again after every cut, for as long as it takes. Talking goes on while it works.
//
// connect() returns a fresh channel; where it throws ChannelClosed or std::system_error it is tried
// again later, anything else ends taking part, as does what make_update throws (the coordinator is
// told). NotAccepted ends it where this side was never let in (the store is empty), and else after
// refused_for without a frame between: a list may be wrong for a while. With `stop` set the
// coordinator is told too, and kStopped returned; the store then holds what a later start goes on
// with.
Ending take_part(ClientSession& session, const std::function<std::unique_ptr<Channel>()>& connect,
                 const SiteWork& work, const std::atomic<bool>& stop,
                 const ParticipantOptions& options = {});

}  // namespace fedstill
