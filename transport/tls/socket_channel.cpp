#include "transport/tls/socket_channel.h"

#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "model/decode_error.h"
#include "transport/peer_refused.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kTurnBytes = 256 * 1024;  // so that the other direction gets its turn
constexpr std::chrono::milliseconds kLinger{2'000};
constexpr std::chrono::milliseconds kLingerStep{1};

SteadyTime after(std::chrono::milliseconds wait) {
  const SteadyTime now = Clock::now();
  // No overflow for waits that mean "for ever".
  const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(SteadyTime::max() - now);
  return wait < most ? now + wait : SteadyTime::max();
}

}  // namespace

SocketChannel::SocketChannel(OpenSocket socket, std::unique_ptr<TlsContext> context,
                             std::unique_ptr<Wire> wire, PeerIdentity peer,
                             const DialOptions& options)
    : socket_(std::move(socket)),
      context_(std::move(context)),
      wire_(std::move(wire)),
      reader_(options.limits),
      incoming_(options.bytes_per_second, Clock::now()),
      outgoing_(options.bytes_per_second, Clock::now()),
      peer_(std::move(peer)),
      options_(options) {}

SocketChannel::~SocketChannel() {
  close();
  linger();
}

void SocketChannel::send(const Frame& frame) {
  const std::vector<std::byte> head = encode_frame_head(frame);
  send_bytes(head, frame.body);
}

void SocketChannel::send_bytes(std::span<const std::byte> head, std::span<const std::byte> body) {
  const std::lock_guard one_at_a_time(sender_mutex_);
  if (!send_problem_.empty()) throw ChannelClosed(send_problem_);
  SteadyTime deadline = after(options_.send_timeout);
  try {
    for (Need need = Need::kNothing; !head.empty() || !body.empty() || need != Need::kNothing;) {
      wait_for_tokens(outgoing_, SteadyTime::max());
      // It would take our bytes for a while yet, only to throw them away.
      if (has_peer_ended(socket_.descriptor())) throw WireError("the peer closed the connection");
      const auto most = std::min<std::uint64_t>(kTurnBytes, outgoing_.allowance(Clock::now()));
      const auto first = head.first(std::min<std::size_t>(head.size(), most));
      const auto second = body.first(std::min<std::size_t>(body.size(), most - first.size()));
      Progress progress;
      {
        const std::lock_guard lock(wire_mutex_);
        progress = wire_->write({first, second});
      }
      outgoing_.take(progress.bytes);
      const std::size_t of_head = std::min(progress.bytes, head.size());
      head = head.subspan(of_head);
      body = body.subspan(progress.bytes - of_head);
      if (progress.bytes > 0) deadline = after(options_.send_timeout);
      need = progress.need;
      if (need != Need::kNothing && !wait_for(socket_.descriptor(), need, deadline)) {
        throw WireError("[net] the peer takes no bytes");
      }
    }
  } catch (const WireError& error) {
    // What the peer said before it went, perhaps why, can still be received.
    send_problem_ = describe(error.what());
    throw ChannelClosed(send_problem_);
  }
}

std::optional<Frame> SocketChannel::receive(std::chrono::milliseconds wait) {
  const SteadyTime deadline = after(wait);
  try {
    for (;;) {
      wait_for_tokens(incoming_, deadline);
      Need need = Need::kNothing;
      if (auto frame = read_some(need)) return frame;
      if (need != Need::kNothing && !wait_for(socket_.descriptor(), need, deadline)) {
        return std::nullopt;
      }
      if (need == Need::kNothing && Clock::now() >= deadline) return std::nullopt;
    }
  } catch (const RefusalAlert& error) {
    shut(error.what(), error.reason());
    throw_if_closed();
    throw;
  } catch (const WireError& error) {
    shut(error.what());
    throw_if_closed();
    throw;
  } catch (const DecodeError& error) {
    shut(error.what());
    throw;
  }
}

// At most one turn's bytes.
std::optional<Frame> SocketChannel::read_some(Need& need) {
  throw_if_closed();
  const std::lock_guard lock(wire_mutex_);
  const SteadyTime now = Clock::now();
  for (std::size_t left = kTurnBytes; left > 0 && need == Need::kNothing;) {
    auto wanted = reader_.wanted();
    const auto most = std::min<std::uint64_t>(left, incoming_.allowance(now));
    wanted = wanted.first(std::min<std::size_t>(wanted.size(), most));
    if (wanted.empty()) return std::nullopt;
    const Progress progress = wire_->read(wanted);
    if (progress.ended) throw WireError("the peer closed the connection");
    need = progress.need;
    incoming_.take(progress.bytes);
    received_bytes_ += progress.bytes;
    left -= progress.bytes;
    if (progress.bytes == 0) continue;
    if (auto frame = reader_.took(progress.bytes)) return frame;
  }
  return std::nullopt;
}

std::string SocketChannel::describe(const std::string& why) const {
  return "[channel] " + peer_.address + ": " + why;
}

void SocketChannel::throw_if_closed() {
  const std::lock_guard lock(state_mutex_);
  if (is_closed_) throw_closed();
}

// Requires: state_mutex_ is held.
void SocketChannel::throw_closed() const {
  if (!refusal_.empty()) throw PeerRefused(describe(why_closed_), refusal_);
  throw ChannelClosed(describe(why_closed_));
}

void SocketChannel::wait_for_tokens(TokenBucket& bucket, SteadyTime until) {
  std::unique_lock lock(state_mutex_);
  for (;;) {
    if (is_closed_) throw_closed();
    const SteadyTime now = Clock::now();
    const auto wait = bucket.wait(now);
    if (wait.count() == 0 || now >= until) return;
    closed_changed_.wait_until(lock, std::min(until, now + wait));
  }
}

void SocketChannel::close() { shut("closed on this side"); }

void SocketChannel::shut(const std::string& why, const std::string& refusal) {
  {
    const std::lock_guard lock(state_mutex_);
    if (is_closed_) return;
    is_closed_ = true;
    why_closed_ = why;
    refusal_ = refusal;
    closed_changed_.notify_all();
  }
  const std::lock_guard lock(wire_mutex_);
  wire_->end();
  ::shutdown(socket_.descriptor(), SHUT_RDWR);  // wakes whoever waits on the socket
}

// The kernel would answer unread bytes with a reset, which can overtake our last ones: those must
// have arrived before the socket goes.
void SocketChannel::linger() noexcept {
  for (const SteadyTime until = after(kLinger); Clock::now() < until;) {
    discard_input(socket_.descriptor());
    if (has_delivered(socket_.descriptor())) return;
    std::this_thread::sleep_for(kLingerStep);  // a shut socket is always ready: no use to poll it
  }
}

}  // namespace fedstill
