#include "transport/tls/server_connection.h"

#include <algorithm>
#include <utility>

#include "model/decode_error.h"
#include "transport/tls/open_socket.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;

// What one connection may move before the others get their turn.
constexpr std::size_t kTurnBytes = std::size_t{1} << 20;
constexpr std::chrono::milliseconds kShortestTick{1};

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerCore> core, StrandSocket socket,
                                   std::string address)
    : core_(std::move(core)),
      socket_(std::move(socket)),
      clock_(socket_.get_executor()),
      read_timer_(socket_.get_executor()),
      write_timer_(socket_.get_executor()),
      reader_(core_->limits().frame),
      bytes_in_(core_->limits().bytes_per_second, Clock::now()),
      bytes_out_(core_->limits().bytes_per_second, Clock::now()),
      frames_in_(core_->limits().frames_per_second, Clock::now()),
      watch_in_(core_->limits().progress_window, core_->limits().min_bytes_per_second),
      watch_out_(core_->limits().progress_window, core_->limits().min_bytes_per_second),
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
  Outgoing item{std::move(head), std::move(body)};
  bool is_too_much = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return false;
    is_too_much = queued_ > 0 && queued_ + item.left() > core_->limits().max_outbox_bytes;
    if (!is_too_much) {
      queued_ += item.left();
      outbox_.push_back(std::move(item));
    }
  }
  if (is_too_much) {
    shut(CloseCause::kTooMuch, "more than max_outbox_bytes wait for it");
    return false;
  }
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->write(); });
  return true;
}

std::size_t ServerConnection::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

bool ServerConnection::is_open() const {
  const std::lock_guard lock(mutex_);
  return !is_closed_;
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
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_closed_, true)) return;
  }
  boost::asio::post(socket_.get_executor(), [self = shared_from_this(), cause, reason] {
    self->begin_close(cause, reason);
  });
}

void ServerConnection::abort() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
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

// A handler that throws costs its connection, nothing else.
template <typename Call>
void ServerConnection::tell(Call call) {
  core_->on_brain([self = shared_from_this(), call = std::move(call)]() mutable {
    try {
      call(*self);
    } catch (const std::exception& error) {
      self->shut(CloseCause::kHandler, error.what());
    }
  });
}

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

void ServerConnection::read_again() {
  will_read_ = false;
  read();
}

void ServerConnection::read() {
  if (phase_ != Phase::kOpen || is_delivering_ || is_paused_ || will_read_) return;
  std::size_t budget = kTurnBytes;
  try {
    while (budget > 0) {
      if (!read_once(budget)) return;
    }
  } catch (const DecodeError& error) {
    return begin_close(CloseCause::kBadBytes, error.what());
  } catch (const WireError& error) {
    return begin_close(CloseCause::kBroken, error.what());
  }
  will_read_ = true;
  again(&ServerConnection::read_again);
}

// False when it cannot go on at once.
bool ServerConnection::read_once(std::size_t& budget) {
  const SteadyTime now = Clock::now();
  const auto pause = std::max(bytes_in_.wait(now), frames_in_.wait(now));
  if (pause.count() > 0) {
    will_read_ = true;
    later(read_timer_, pause, &ServerConnection::read_again);
    return false;
  }
  auto wanted = reader_.wanted();
  const auto most = std::min<std::uint64_t>(budget, bytes_in_.allowance(now));
  wanted = wanted.first(std::min<std::size_t>(wanted.size(), most));
  const Progress progress = wire_->read(wanted);
  if (progress.ended) {
    begin_close(CloseCause::kPeer, "the peer closed the connection");
    return false;
  }
  if (progress.bytes > 0) {
    budget -= progress.bytes;
    last_byte_ = now;
    bytes_in_.take(progress.bytes);
    watch_in_.add(progress.bytes);
    core_->count_bytes(progress.bytes, 0);
    if (auto frame = reader_.took(progress.bytes)) {
      watch_in_.stop();
      deliver(std::move(*frame));
      return false;
    }
    if (!watch_in_.is_running()) watch_in_.start(now);
  }
  if (progress.need == Need::kNothing) return true;
  will_read_ = true;
  wait(progress.need, &ServerConnection::read_again);
  return false;
}

void ServerConnection::deliver(Frame frame) {
  is_delivering_ = true;
  frames_in_.take(1);
  tell([frame = std::move(frame)](ServerConnection& self) mutable {
    if (!self.is_open()) return;
    if (self.core_->handlers().on_frame) {
      self.core_->handlers().on_frame(self.shared_from_this(), std::move(frame));
    }
    self.again(&ServerConnection::delivered);
  });
}

void ServerConnection::delivered() {
  is_delivering_ = false;
  last_byte_ = Clock::now();
  read();
}

void ServerConnection::write_again() {
  will_write_ = false;
  write();
}

void ServerConnection::write() {
  const bool may_write = phase_ == Phase::kOpen || phase_ == Phase::kFlushing;
  if (!may_write || will_write_) return;
  std::size_t budget = kTurnBytes;
  try {
    while (budget > 0) {
      if (!write_once(budget)) return;
    }
  } catch (const WireError& error) {
    if (phase_ == Phase::kFlushing) return drain();
    return begin_close(CloseCause::kBroken, error.what());
  }
  will_write_ = true;
  again(&ServerConnection::write_again);
}

bool ServerConnection::write_once(std::size_t& budget) {
  Outgoing* const item = front();
  if (item == nullptr) return outbox_is_empty();
  const SteadyTime now = Clock::now();
  if (!watch_out_.is_running()) watch_out_.start(now);
  owes_drained_ = true;
  if (const auto pause = bytes_out_.wait(now); pause.count() > 0) {
    will_write_ = true;
    later(write_timer_, pause, &ServerConnection::write_again);
    return false;
  }
  const std::size_t most = std::min<std::uint64_t>(budget, bytes_out_.allowance(now));
  const auto head = std::span<const std::byte>(item->head);
  const auto body = std::span<const std::byte>(item->body);
  const auto first = head.subspan(std::min(item->done, head.size()));
  const auto second = body.subspan(item->done - (head.size() - first.size()));
  const auto clipped = first.first(std::min(first.size(), most));
  const Progress progress =
      wire_->write({clipped, second.first(std::min(second.size(), most - clipped.size()))});
  budget -= progress.bytes;
  progressed(progress.bytes);
  if (progress.need == Need::kNothing) return true;
  will_write_ = true;
  wait(progress.need, &ServerConnection::write_again);
  return false;
}

bool ServerConnection::outbox_is_empty() {
  if (owes_drained_ && phase_ == Phase::kOpen) {
    owes_drained_ = false;
    tell([](ServerConnection& self) {
      if (self.core_->handlers().on_drained) {
        self.core_->handlers().on_drained(self.shared_from_this());
      }
    });
  }
  const Need need = wire_->flush();
  if (need != Need::kNothing) {
    will_write_ = true;
    wait(need, &ServerConnection::write_again);
    return false;
  }
  watch_out_.stop();
  if (phase_ == Phase::kFlushing) drain();
  return false;
}

ServerConnection::Outgoing* ServerConnection::front() {
  const std::lock_guard lock(mutex_);
  return outbox_.empty() ? nullptr : &outbox_.front();  // stays put while others push
}

void ServerConnection::progressed(std::size_t bytes) {
  bytes_out_.take(bytes);
  watch_out_.add(bytes);
  core_->count_bytes(0, bytes);
  const std::lock_guard lock(mutex_);
  queued_ -= bytes;
  outbox_.front().done += bytes;
  if (outbox_.front().left() == 0) outbox_.pop_front();
}

void ServerConnection::begin_close(CloseCause cause, const std::string& reason) {
  if (phase_ != Phase::kHandshake && phase_ != Phase::kOpen) return;
  const bool was_open = phase_ == Phase::kOpen;
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    if (cause != CloseCause::kHere) {
      outbox_.clear();
      queued_ = 0;
    }
  }
  phase_ = Phase::kFlushing;
  phase_began_ = Clock::now();
  arm_clock();
  if (!was_open) core_->count_refusal();
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
  if (const std::string late = lateness(now); !late.empty()) {
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
