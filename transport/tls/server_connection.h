#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "transport/tls/asio.h"
#include "transport/tls/connection.h"
#include "transport/tls/frame_reader.h"
#include "transport/tls/outbox.h"
#include "transport/tls/pacing.h"
#include "transport/tls/server_core.h"
#include "transport/tls/wire.h"

namespace fedstill {

// One accepted socket from handshake to goodbye. Everything but the public calls runs on its own
// strand. Handshake → open → flushing (what was sent still goes out) → draining (until the peer has
// closed too, so that no reset eats our last bytes) → gone.
class ServerConnection final : public Connection,
                               public std::enable_shared_from_this<ServerConnection> {
 public:
  // What connections of one party have in common is `host`.
  ServerConnection(std::shared_ptr<ServerCore> core, StrandSocket socket, std::string address,
                   std::string host);

  const PeerIdentity& peer() const override { return peer_; }
  bool send(Frame frame) override;
  std::size_t queued_bytes() const override { return outbox_.queued_bytes(); }
  void pause_reading() override;
  void resume_reading() override;
  void close(const std::string& reason) override;

  void start();
  bool is_open() const { return outbox_.is_open(); }  // or on its way there
  void shut(CloseCause cause, const std::string& reason);
  void abort();  // at once, to make room
  // As they are: for tests of the other side.
  bool send_bytes(std::vector<std::byte> head, std::vector<std::byte> body);

 private:
  enum class Phase { kHandshake, kOpen, kFlushing, kDraining, kGone };
  using Step = void (ServerConnection::*)();

  // Calls handlers on the brain. One that throws costs its connection, nothing else.
  template <typename Call>
  void tell(Call call) {
    core_->on_brain([self = shared_from_this(), call = std::move(call)]() mutable {
      try {
        call(*self);
      } catch (const std::exception& error) {
        self->shut(CloseCause::kHandler, error.what());
      }
    });
  }
  void wait(Need need, Step next);
  void later(StrandTimer& timer, std::chrono::milliseconds delay, Step next);
  void again(Step next);

  void handshake();
  void opened();
  void read_again();
  void read();
  bool read_once(std::size_t& budget);
  void deliver(Frame frame);
  void delivered();
  void write_again();
  void write();
  bool write_once(std::size_t& budget);
  bool outbox_is_empty();
  void begin_close(CloseCause cause, const std::string& reason);
  void drain();
  void finish();
  void look_at_clock();
  void arm_clock();
  std::string lateness(SteadyTime now);

  const std::shared_ptr<ServerCore> core_;
  StrandSocket socket_;
  StrandTimer clock_, read_timer_, write_timer_;
  std::unique_ptr<Wire> wire_;
  const std::string host_;
  PeerIdentity peer_;  // complete before on_open
  Phase phase_ = Phase::kHandshake;
  FrameReader reader_;
  bool is_delivering_ = false, is_paused_ = false;
  bool will_read_ = false, will_write_ = false;  // something is under way that goes on with it
  bool owes_drained_ = false;
  TokenBucket bytes_in_, bytes_out_, frames_in_;
  ProgressWatch watch_in_, watch_out_;
  Outbox outbox_;
  SteadyTime phase_began_, last_byte_;
};

}  // namespace fedstill
