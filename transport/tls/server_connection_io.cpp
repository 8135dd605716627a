// The part of a connection that moves bytes.
#include <algorithm>

#include "model/decode_error.h"
#include "transport/tls/server_connection.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;

// What one connection may move before the others get their turn.
constexpr std::size_t kConnectionTurnBytes = std::size_t{1} << 20;

}  // namespace

void ServerConnection::read_again() {
  will_read_ = false;
  read();
}

void ServerConnection::read() {
  if (phase_ != Phase::kOpen || is_delivering_ || is_paused_ || will_read_) return;
  std::size_t budget = kConnectionTurnBytes;
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
    // What the handler left of the body; NOLINTNEXTLINE(bugprone-use-after-move)
    auto body = std::move(frame.body);
    boost::asio::post(self.socket_.get_executor(),
                      [connection = self.shared_from_this(), body = std::move(body)]() mutable {
                        connection->reader_.recycle(std::move(body));
                        connection->delivered();
                      });
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
  std::size_t budget = kConnectionTurnBytes;
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
  Outbox::Item* const item = outbox_.front();
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
  bytes_out_.take(progress.bytes);
  watch_out_.add(progress.bytes);
  core_->count_bytes(0, progress.bytes);
  outbox_.wrote(progress.bytes);
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

}  // namespace fedstill
