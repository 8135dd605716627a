#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <system_error>

#include "transport/tls/socket_calls.h"
#include "transport/tls/wire.h"

namespace fedstill {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

class PlainWire : public Wire {
 public:
  explicit PlainWire(int socket) : socket_(socket) {}

  Need handshake() override { return Need::kNothing; }
  Progress read(std::span<std::byte> out) override { return receive_some(socket_, out); }
  Progress write(const std::array<std::span<const std::byte>, 2>& pieces) override {
    return send_some(socket_, pieces);
  }
  Need flush() override { return Need::kNothing; }
  void end() noexcept override { ::shutdown(socket_, SHUT_WR); }
  PeerIdentity peer() const override { return {}; }

 private:
  const int socket_;
};

}  // namespace

void throw_wire_error(const char* verb, int error) {
  throw WireError("[net] " + std::string(verb) + ": " + std::generic_category().message(error));
}

Progress send_some(int socket, const std::array<std::span<const std::byte>, 2>& pieces) {
  std::array<iovec, 2> vectors{};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    vectors[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = vectors.size();
  for (;;) {
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent >= 0) return {.bytes = static_cast<std::size_t>(sent)};
    if (would_block(errno)) return {.need = Need::kWritable};
    if (errno != EINTR) throw_wire_error("send", errno);
  }
}

Progress receive_some(int socket, std::span<std::byte> out) {
  for (;;) {
    const ssize_t received = ::recv(socket, out.data(), out.size(), 0);
    if (received > 0) return {.bytes = static_cast<std::size_t>(received)};
    if (received == 0) return {.ended = true};
    if (would_block(errno)) return {.need = Need::kReadable};
    if (errno != EINTR) throw_wire_error("receive", errno);
  }
}

bool discard_input(int socket) noexcept {
  std::array<std::byte, 16 * 1024> unused;
  constexpr int kRounds = 64;  // others wait for their turn
  for (int round = 0; round < kRounds; ++round) {
    const ssize_t dropped = ::recv(socket, unused.data(), unused.size(), MSG_DONTWAIT);
    if (dropped == 0) return true;
    if (dropped < 0 && errno != EINTR) return !would_block(errno);
  }
  return false;
}

void prepare_socket(int socket) {
  if (::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK) != 0) {
    throw_wire_error("fcntl", errno);
  }
  constexpr int kOn = 1, kIdleSeconds = 60, kIntervalSeconds = 20, kProbes = 3;
  constexpr unsigned kUnacknowledgedMilliseconds = 120'000;
  // Refinements: the connection works without them.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof(kOn));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof(kIdleSeconds));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &kIntervalSeconds, sizeof(kIntervalSeconds));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof(kProbes));
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMilliseconds,
               sizeof(kUnacknowledgedMilliseconds));
}

std::unique_ptr<Wire> make_plain_wire(int socket) { return std::make_unique<PlainWire>(socket); }

}  // namespace fedstill
