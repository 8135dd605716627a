#include "transport/tls/open_socket.h"

#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "transport/tls/dial.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype([](addrinfo* list) { freeaddrinfo(list); })>;

AddressList look_up(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) {
    throw DialError(DialError::Step::kName,
                    "[dial] name " + endpoint.host + ": " + gai_strerror(error));
  }
  return AddressList(found);
}

// An errno; 0 is success.
int connect_socket(int socket, const addrinfo& address, SteadyTime deadline) {
  prepare_socket(socket);
  if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(socket, Need::kWritable, deadline)) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

OpenSocket::~OpenSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OpenSocket::OpenSocket(OpenSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

OpenSocket connect_to(const Endpoint& endpoint, SteadyTime deadline) {
  const AddressList addresses = look_up(endpoint);
  int error = 0;
  int left = 0;
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) ++left;
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next, --left) {
    OpenSocket socket(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket.descriptor() < 0) {
      error = errno;
      continue;
    }
    // A silent address must leave time for the next one.
    const SteadyTime now = std::chrono::steady_clock::now();
    error = connect_socket(socket.descriptor(), *at, now + (deadline - now) / left);
    if (error == 0) return socket;
  }
  throw DialError(DialError::Step::kConnect,
                  "[dial] " + to_string(endpoint) + ": " + std::generic_category().message(error));
}

bool wait_for(int socket, Need need, SteadyTime deadline) {
  pollfd entry{socket, static_cast<short>(need == Need::kWritable ? POLLOUT : POLLIN), 0};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto bounded = std::clamp<std::int64_t>(left.count(), 0, 3'600'000);
    const int ready = ::poll(&entry, 1, static_cast<int>(bounded));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw_wire_error("poll", errno);
    if (ready == 0 && left.count() <= bounded) return false;
  }
}

bool has_peer_ended(int socket) {
  pollfd entry{socket, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

bool has_delivered(int socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  const bool is_known = ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  if (!is_known || info.tcpi_state == TCP_CLOSE) return true;
  int unsent = 0;
  return ::ioctl(socket, SIOCOUTQ, &unsent) != 0 || unsent <= 1;  // the last one is our goodbye
}

std::string peer_address(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(socket, generic, &size) != 0 ||
      getnameinfo(generic, size, host.data(), host.size(), port.data(), port.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "unknown";
  }
  const bool is_ipv6 = address.ss_family == AF_INET6;
  return (is_ipv6 ? "[" : "") + std::string(host.data()) + (is_ipv6 ? "]:" : ":") + port.data();
}

}  // namespace fedstill
