#include "tests/transport/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "tests/support/loopback_address.h"

namespace fedstill {
namespace {

constexpr int kMinute = 60'000;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("[raw peer] ") + what);
}

bool wait_for_input(int descriptor, int patience) {
  pollfd entry{descriptor, POLLIN, 0};
  return ::poll(&entry, 1, patience) > 0;
}

}  // namespace

RawSocket::RawSocket(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const sockaddr_in address = loopback_address(port);
  require(::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
          "cannot connect");
}

RawSocket RawSocket::adopt(int descriptor) {
  RawSocket socket;
  socket.descriptor_ = descriptor;
  return socket;
}

RawSocket::RawSocket(RawSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

RawSocket::~RawSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool RawSocket::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawSocket::send(const std::string& text) { return send(std::as_bytes(std::span(text))); }

std::vector<std::byte> RawSocket::receive(std::size_t most) {
  std::vector<std::byte> bytes(most);
  const ssize_t received =
      wait_for_input(descriptor_, kMinute) ? ::recv(descriptor_, bytes.data(), most, 0) : 0;
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(0, received)));
  return bytes;
}

bool RawSocket::is_closed_by_peer() {
  std::array<std::byte, 4096> unused{};
  while (wait_for_input(descriptor_, kMinute)) {
    if (::recv(descriptor_, unused.data(), unused.size(), 0) <= 0) return true;
  }
  return false;
}

bool RawSocket::has_input(int patience) const { return wait_for_input(descriptor_, patience); }

void RawSocket::reset() {
  const linger abortive{1, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
  ::close(std::exchange(descriptor_, -1));
}

struct RawTls::State {
  std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* context) { SSL_CTX_free(context); })> context;
  std::unique_ptr<SSL, decltype([](SSL* ssl) { SSL_free(ssl); })> ssl;
};

RawTls::RawTls(RawSocket socket, const RawTlsOptions& options)
    : socket_(std::move(socket)), state_(std::make_unique<State>()) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's own writes raise it
  state_->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = state_->context.get();
  if (options.max_version != 0) SSL_CTX_set_max_proto_version(context, options.max_version);
  if (options.own) {
    SSL_CTX_use_certificate_chain_file(context, options.own->certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context, options.own->key.c_str(), SSL_FILETYPE_PEM);
  }
  if (!options.authority.empty()) {
    require(SSL_CTX_load_verify_file(context, options.authority.c_str()) == 1, "authority");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  state_->ssl.reset(SSL_new(context));
  SSL_set_fd(state_->ssl.get(), socket_.descriptor());
  if (options.is_server) {
    SSL_set_accept_state(state_->ssl.get());
  } else {
    SSL_set_connect_state(state_->ssl.get());
  }
}

RawTls::~RawTls() = default;
RawTls::RawTls(RawTls&&) noexcept = default;

bool RawTls::handshake() { return SSL_do_handshake(state_->ssl.get()) == 1; }

bool RawTls::send(std::span<const std::byte> bytes) {
  return SSL_write(state_->ssl.get(), bytes.data(), static_cast<int>(bytes.size())) ==
         static_cast<int>(bytes.size());
}

bool RawTls::send_key_update() {
  return SSL_key_update(state_->ssl.get(), SSL_KEY_UPDATE_REQUESTED) == 1 &&
         SSL_do_handshake(state_->ssl.get()) == 1;
}

bool RawTls::is_closed_by_peer() {
  std::array<std::byte, 4096> unused{};
  while (SSL_has_pending(state_->ssl.get()) != 0 || socket_.has_input(kMinute)) {
    if (SSL_read(state_->ssl.get(), unused.data(), static_cast<int>(unused.size())) <= 0) {
      return true;
    }
  }
  return false;
}

Listener::Listener() : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address = loopback_address(0);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  require(::bind(descriptor_, generic, size) == 0 && ::listen(descriptor_, 128) == 0 &&
              ::getsockname(descriptor_, generic, &size) == 0,
          "cannot listen");
  port_ = ntohs(address.sin_port);
}

Listener::~Listener() { ::close(descriptor_); }

std::optional<RawSocket> Listener::accept() {
  const int accepted = ::accept(descriptor_, nullptr, nullptr);
  if (accepted < 0) return std::nullopt;
  return RawSocket::adopt(accepted);
}

void Listener::stop() { ::shutdown(descriptor_, SHUT_RDWR); }

Relay::Relay(std::uint16_t target, Greeting greet)
    : target_(target), greet_(std::move(greet)), thread_([this] {
        std::vector<std::thread> serving;
        while (auto near = listener_.accept()) {
          const std::lock_guard lock(mutex_);
          serving.emplace_back(
              [this, cut = cut_](RawSocket socket) { serve(std::move(socket), cut); },
              std::move(*near));
        }
        for (std::thread& one : serving) one.join();
      }) {}

Relay::~Relay() {
  listener_.stop();
  thread_.join();
}

void Relay::set_cut(const Cut& cut) {
  const std::lock_guard lock(mutex_);
  cut_ = cut;
  upstream_ = downstream_ = 0;
}

void Relay::serve(RawSocket near, Cut cut) {
  if (greet_ && !greet_(near)) return;
  RawSocket far(target_);
  struct Way {
    RawSocket &from, &to;
    std::uint64_t left;
    std::atomic<std::uint64_t>& passed;
  };
  std::array<Way, 2> ways{Way{near, far, cut.upstream, upstream_},
                          Way{far, near, cut.downstream, downstream_}};
  for (bool is_open = true; is_open;) {
    std::array<pollfd, 2> entries{pollfd{near.descriptor(), POLLIN, 0},
                                  pollfd{far.descriptor(), POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), kMinute) <= 0) break;
    for (std::size_t i = 0; i < ways.size() && is_open; ++i) {
      if (entries[i].revents == 0) continue;
      Way& way = ways[i];
      const auto most = std::min<std::uint64_t>(65'536, std::max<std::uint64_t>(1, way.left));
      const auto bytes = way.from.receive(static_cast<std::size_t>(most));
      const bool ends = bytes.empty() || way.left == 0;
      if (!ends) {
        way.passed += bytes.size();
        way.left -= bytes.size();
      }
      is_open = !ends && way.to.send(bytes) && way.left > 0;
    }
  }
  if (cut.with_reset) {
    near.reset();
    far.reset();
  }
}

}  // namespace fedstill
