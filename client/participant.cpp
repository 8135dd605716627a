#include "client/participant.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "client/making.h"
#include "model/decode_error.h"
#include "transport/chunk_pace.h"
#include "transport/peer_refused.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using State = ClientSession::State;

// So that it is not taken for trouble with the connection.
struct WorkFailed {
  std::exception_ptr what;
};

class Participant {
 public:
  Participant(ClientSession& session, const std::function<std::unique_ptr<Channel>()>& connect,
              const SiteWork& work, const std::atomic<bool>& stop,
              const ParticipantOptions& options)
      : session_(session),
        connect_(connect),
        work_(work),
        stop_(stop),
        options_(options),
        wait_(options.first_wait),
        was_let_in_(session.store().update() || !session.store().blobs().list().empty()) {}

  Ending run() {
    while (!is_over()) {
      try {
        connect_and_converse();
      } catch (const NotAccepted& error) {
        if (!may_be_let_in_again()) throw;
        note_cut(error.what());
      } catch (const ChannelClosed& error) {
        note_cut(error.what());
      } catch (const DecodeError& error) {
        note_cut(error.what());
      } catch (const std::system_error& error) {
        note_cut(error.what());
      }
      hang_up();
      if (!is_over()) pause();
    }
    if (session_.state() == State::kDone) return Ending::kDone;
    return session_.state() == State::kRefused ? Ending::kRefused : Ending::kStopped;
  }

 private:
  bool is_over() const {
    return stop_ || session_.state() == State::kDone || session_.state() == State::kRefused;
  }

  // To be asked once for each refusal.
  bool may_be_let_in_again() {
    if (!was_let_in_) return false;
    if (!refused_since_) refused_since_ = Clock::now();
    return Clock::now() - *refused_since_ < options_.refused_for;
  }

  void connect_and_converse() {
    try {
      channel_ = connect_();
      converse();
    } catch (const NotAccepted&) {
      throw;
    } catch (const ChannelClosed& error) {
      throw ChannelClosed(last_words(error.what()));
    }
  }

  void converse() {
    heard_ = Clock::now();
    received_bytes_ = 0;
    send_all(session_.connected());
    while (!is_over()) {
      look_after_work();
      if (auto chunk = session_.next_chunk(std::min(options_.chunk_bytes, pace_.bytes()))) {
        send(*chunk);
        receive(milliseconds(0));
      } else {
        receive(options_.poll);
      }
      mind_the_clock();
    }
    if (stop_) say_goodbye("stopped");
    if (session_.state() == State::kRefused) say_goodbye("refused");
  }

  void receive(milliseconds wait) {
    const auto frame = channel_->receive(wait);
    // A chunk may take longer than a coordinator may be silent.
    const std::uint64_t bytes = channel_->received_bytes();
    if (frame || bytes != received_bytes_) heard_ = Clock::now();
    received_bytes_ = bytes;
    if (!frame) return;
    wait_ = options_.first_wait;
    send_all(hear(*frame));
  }

  // Sending fails before everything that came was read: perhaps a refusal, or why it ended. Throws
  // PeerRefused where that is it.
  std::string last_words(std::string why) {
    try {
      while (const auto frame = channel_ ? channel_->receive(milliseconds(0)) : std::nullopt) {
        hear(*frame);
      }
    } catch (const PeerRefused&) {
      throw;
    } catch (const ChannelClosed& error) {
      why = error.what();
    } catch (const DecodeError&) {  // it is gone anyway
    } catch (const std::system_error&) {
    }
    return why;
  }

  std::vector<Frame> hear(const Frame& frame) {
    was_let_in_ = true;
    refused_since_.reset();
    if (work_.on_frame) work_.on_frame(frame, true);
    const auto now = std::chrono::duration_cast<milliseconds>(Clock::now().time_since_epoch());
    if (std::holds_alternative<BlobRequest>(frame.message)) pace_.begin(now);
    if (std::holds_alternative<BlobProgress>(frame.message)) pace_.acknowledged(now);
    const State before = session_.state();
    std::vector<Frame> answers = session_.receive(frame);
    if (work_.on_state && session_.state() != before) work_.on_state(session_.state());
    hand_out_bundle();
    return answers;
  }

  // What was recorded and not handed out is so now: after a kill between the two, or a full disk.
  void hand_out_bundle() {
    const auto& bundles = session_.store().bundles();
    if (!work_.on_bundle || bundles.empty() || bundles.back() == handed_out_) return;
    const std::string& sha256 = bundles.back().bundle.sha256;
    if (!session_.store().blobs().has(sha256)) return;
    work_.on_bundle(bundles.back(), session_.store().blobs().path(sha256));
    handed_out_ = bundles.back();
  }

  // Starts what is to be done, hands in what is done, drops what nobody wants.
  void look_after_work() {
    const bool wanted = session_.state() == State::kTraining;
    if (making_ && !(wanted && making_->is_of(session_.plan()))) making_.reset();
    if (!wanted) return;
    if (!making_) {
      making_.emplace(work_, session_.plan());
      send(heartbeat());  // so that everybody sees at once what it does
    }
    if (!making_->is_over()) return;
    const std::vector<Frame> frames = session_.finished(take_result());
    making_.reset();
    if (work_.on_state) work_.on_state(session_.state());
    send_all(frames);
  }

  std::filesystem::path take_result() {
    try {
      return making_->result();
    } catch (const std::exception& error) {
      const WorkFailed failed{std::current_exception()};
      say_goodbye(error.what());
      throw failed;
    }
  }

  void say_goodbye(const std::string& reason) {
    try {
      send({Leave{to_free_text(reason)}, {}});
    } catch (const ChannelClosed&) {  // the coordinator was faster
    }
  }

  void mind_the_clock() {
    const auto now = Clock::now();
    const milliseconds asked = std::chrono::seconds(session_.heartbeat_seconds());
    const milliseconds beat = options_.heartbeat.count() > 0 ? options_.heartbeat : asked;
    if (now - heard_ > options_.missed_heartbeats * beat) {
      throw ChannelClosed("[client] the coordinator was silent for too long");
    }
    if (now - spoke_ < beat) return;
    spoke_ = now;
    if (session_.is_greeted()) send(heartbeat());
    if (session_.wants_retry()) send_all(session_.retry());
  }

  Frame heartbeat() const {
    const WorkProgress::Report at = making_ ? making_->progress() : WorkProgress::Report{"", 0, 0};
    return session_.heartbeat(at.phase, at.done, at.total);
  }

  void send(const Frame& frame) {
    if (work_.on_frame) work_.on_frame(frame, false);
    channel_->send(frame);
    spoke_ = Clock::now();
  }
  void send_all(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) send(frame);
  }

  void note_cut(const std::string& what) {
    if (!work_.on_trouble) return;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait_).count();
    work_.on_trouble(what + "; trying again within " + std::to_string(seconds) + " s");
  }
  void hang_up() {
    session_.disconnected();
    channel_.reset();
  }

  // Work that is done meanwhile waits for the connection.
  void pause() {
    std::uniform_real_distribution<double> share(0.5, 1.0);
    const auto wait = std::chrono::duration_cast<milliseconds>(wait_ * share(random_));
    wait_ = std::min(2 * wait_, options_.longest_wait);
    for (const auto until = Clock::now() + wait; Clock::now() < until && !stop_;) {
      std::this_thread::sleep_for(std::min(options_.poll, wait));
    }
  }

  ClientSession& session_;
  const std::function<std::unique_ptr<Channel>()>& connect_;
  const SiteWork& work_;
  const std::atomic<bool>& stop_;
  const ParticipantOptions& options_;
  milliseconds wait_;
  std::minstd_rand random_{std::random_device{}()};
  std::unique_ptr<Channel> channel_;
  std::uint64_t received_bytes_ = 0;
  ChunkPace pace_;  // of the update
  Clock::time_point heard_{}, spoke_{};
  bool was_let_in_;                                 // ever, as far as the store knows
  std::optional<Clock::time_point> refused_since_;  // without a frame since
  std::optional<Making> making_;
  std::optional<Delivery> handed_out_;
};

}  // namespace

void WorkProgress::report(Report report) {
  const std::lock_guard guard(mutex_);
  report_ = std::move(report);
}

WorkProgress::Report WorkProgress::last() const {
  const std::lock_guard guard(mutex_);
  return report_;
}

Ending take_part(ClientSession& session, const std::function<std::unique_ptr<Channel>()>& connect,
                 const SiteWork& work, const std::atomic<bool>& stop,
                 const ParticipantOptions& options) {
  try {
    return Participant(session, connect, work, stop, options).run();
  } catch (const WorkFailed& failed) {
    std::rethrow_exception(failed.what);
  }
}

}  // namespace fedstill
