#include "transport/tls/server_connection.h"

#include <algorithm>

#include "transport/tls/open_socket.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kShortestTick{1};
constexpr std::chrono::milliseconds kKeepSpare{2'000};  // idle connections hold no memory

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerCore> core, StrandSocket socket,
                                   std::string address, std::string host)
    : core_(std::move(core)),
      socket_(std::move(socket)),
      clock_(socket_.get_executor()),
      read_timer_(socket_.get_executor()),
      write_timer_(socket_.get_executor()),
      host_(std::move(host)),
      reader_(core_->limits().frame),
      bytes_in_(core_->limits().bytes_per_second, Clock::now()),
      bytes_out_(core_->limits().bytes_per_second, Clock::now()),
      frames_in_(core_->limits().frames_per_second, Clock::now()),
      watch_in_(core_->limits().progress_window, core_->limits().min_bytes_per_second),
      watch_out_(core_->limits().progress_window, core_->limits().min_bytes_per_second),
      outbox_(core_->limits().max_outbox_bytes),
      phase_began_(Clock::now()),
      last_byte_(phase_began_) {
  peer_.address = std::move(address);
}

// --- from any thread

bool ServerConnection::send(Frame frame) {
  auto head = encode_frame_head(frame);
  return send_bytes(std::move(head), std::move(frame.body));
}

bool ServerConnection::send_bytes(std::vector<std::byte> head, std::vector<std::byte> body) {
  const Outbox::Answer answer = outbox_.push({std::move(head), std::move(body)});
  if (answer == Outbox::Answer::kFull) {
    shut(CloseCause::kTooMuch, "more than max_outbox_bytes wait for it");
  }
  if (answer != Outbox::Answer::kTaken) return false;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->write(); });
  return true;
}

void ServerConnection::pause_reading() {
  if (!is_open()) return;
  boost::asio::post(socket_.get_executor(),
                    [self = shared_from_this()] { self->is_paused_ = true; });
}

void ServerConnection::resume_reading() {
  if (!is_open()) return;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->is_paused_ = false;
    self->last_byte_ = Clock::now();
    self->read();
  });
}

void ServerConnection::close(const std::string& reason) { shut(CloseCause::kHere, reason); }

void ServerConnection::shut(CloseCause cause, const std::string& reason) {
  if (!outbox_.close()) return;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this(), cause, reason] {
    self->begin_close(cause, reason);
  });
}

void ServerConnection::abort() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->phase_ == Phase::kHandshake) self->core_->note_failed_handshake(self->host_);
    self->begin_close(CloseCause::kTooMuch, "gave way to newer ones");
    self->finish();
  });
}

void ServerConnection::start() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->arm_clock();
    self->handshake();
  });
}

// --- on the strand

void ServerConnection::wait(Need need, Step next) {
  const auto what = need == Need::kWritable ? StrandSocket::wait_write : StrandSocket::wait_read;
  socket_.async_wait(what, [self = shared_from_this(), next](boost::system::error_code error) {
    if (!error) (self.get()->*next)();
  });
}

void ServerConnection::later(StrandTimer& timer, std::chrono::milliseconds delay, Step next) {
  timer.expires_after(delay);
  timer.async_wait([self = shared_from_this(), next](boost::system::error_code error) {
    if (!error) (self.get()->*next)();
  });
}

void ServerConnection::again(Step next) {
  boost::asio::post(socket_.get_executor(),
                    [self = shared_from_this(), next] { (self.get()->*next)(); });
}

void ServerConnection::handshake() {
  if (phase_ != Phase::kHandshake) return;
  try {
    if (!wire_) wire_ = core_->make_wire(socket_.native_handle());
    const Need need = wire_->handshake();
    if (need != Need::kNothing) return wait(need, &ServerConnection::handshake);
    const std::string address = peer_.address;
    peer_ = wire_->peer();
    peer_.address = address;
  } catch (const WireError& error) {
    core_->note_failed_handshake(host_);
    return begin_close(CloseCause::kBroken, error.what());
  }
  const std::string problem = core_->promote(shared_from_this());
  if (!problem.empty()) return begin_close(CloseCause::kAccess, problem);
  opened();
}

void ServerConnection::opened() {
  phase_ = Phase::kOpen;
  phase_began_ = last_byte_ = Clock::now();
  arm_clock();
  is_delivering_ = true;
  tell([](ServerConnection& self) {
    if (self.core_->handlers().on_open) self.core_->handlers().on_open(self.shared_from_this());
    self.again(&ServerConnection::delivered);
  });
  write();
}

void ServerConnection::begin_close(CloseCause cause, const std::string& reason) {
  if (phase_ != Phase::kHandshake && phase_ != Phase::kOpen) return;
  const bool was_open = phase_ == Phase::kOpen;
  outbox_.close();
  if (cause != CloseCause::kHere) outbox_.clear();
  phase_ = Phase::kFlushing;
  phase_began_ = Clock::now();
  arm_clock();
  if (!was_open) core_->count_refusal();
  if (was_open && cause == CloseCause::kBadBytes) core_->note_refusal(peer_);
  tell([cause, reason, was_open](ServerConnection& self) {
    const ServerHandlers& handlers = self.core_->handlers();
    if (!was_open) {
      if (handlers.on_refused) handlers.on_refused(self.peer_.address, reason);
    } else if (handlers.on_close) {
      handlers.on_close(self.shared_from_this(), cause, reason);
    }
  });
  if (was_open && cause == CloseCause::kHere) return write();
  drain();
}

void ServerConnection::drain() {
  if (phase_ == Phase::kGone) return;
  if (phase_ != Phase::kDraining) {
    phase_ = Phase::kDraining;
    if (wire_) wire_->end();
    // Only now: the wait of a reader or writer that is still there would be a second one.
    socket_.cancel();
  }
  if (!wire_ || discard_input(socket_.native_handle())) return finish();
  wait(Need::kReadable, &ServerConnection::drain);
}

void ServerConnection::finish() {
  if (phase_ == Phase::kGone) return;
  phase_ = Phase::kGone;
  boost::system::error_code ignored;
  socket_.close(ignored);
  clock_.cancel();
  read_timer_.cancel();
  write_timer_.cancel();
  wire_.reset();
  core_->forget(shared_from_this());
}

void ServerConnection::look_at_clock() {
  if (phase_ == Phase::kGone) return;
  const SteadyTime now = Clock::now();
  const bool is_closing = phase_ == Phase::kFlushing || phase_ == Phase::kDraining;
  if (is_closing && now - phase_began_ >= core_->limits().close_timeout) return finish();
  // A peer that has everything but does not close in turn need not be waited for.
  if (phase_ == Phase::kDraining && has_delivered(socket_.native_handle())) return finish();
  if (now - last_byte_ > kKeepSpare) reader_.drop_spare();
  if (const std::string late = lateness(now); !late.empty()) {
    if (phase_ == Phase::kHandshake) core_->note_failed_handshake(host_);
    begin_close(CloseCause::kTooSlow, late);
  }
  if (phase_ != Phase::kGone) arm_clock();
}

// Often enough that no limit is overrun by much, seldom enough to cost nothing.
void ServerConnection::arm_clock() {
  const ServerLimits& limits = core_->limits();
  const auto shortest = phase_ == Phase::kHandshake ? limits.handshake_timeout
                        : phase_ == Phase::kOpen
                            ? std::min(limits.idle_timeout, limits.progress_window)
                            : limits.close_timeout;
  later(clock_, std::max(kShortestTick, shortest / 4), &ServerConnection::look_at_clock);
}

std::string ServerConnection::lateness(SteadyTime now) {
  const ServerLimits& limits = core_->limits();
  if (phase_ == Phase::kHandshake) {
    return now - phase_began_ >= limits.handshake_timeout ? "no handshake in time" : "";
  }
  if (phase_ != Phase::kOpen) return {};
  if (watch_out_.is_too_slow(now)) return "takes what is sent too slowly";
  if (is_delivering_ || is_paused_) {
    if (watch_in_.is_running()) watch_in_.start(now);
    return {};
  }
  if (watch_in_.is_too_slow(now)) return "sends a frame too slowly";
  return now - last_byte_ >= limits.idle_timeout ? "sent nothing for too long" : "";
}

}  // namespace fedstill
