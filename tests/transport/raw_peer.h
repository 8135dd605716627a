#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "transport/tls/credentials.h"

namespace fedstill {

// A socket that does what a well-behaved peer would not. Blocking, for a minute at most.
class RawSocket {
 public:
  explicit RawSocket(std::uint16_t port);  // connects
  static RawSocket adopt(int descriptor);
  ~RawSocket();
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&&) = delete;

  int descriptor() const { return descriptor_; }
  bool send(std::span<const std::byte> bytes);  // false: the peer is gone
  bool send(const std::string& text);
  // What comes within the time; nothing at the end.
  std::vector<std::byte> receive(std::size_t most = 65'536);
  // Reads until the peer closes. False if it does not within a minute.
  bool is_closed_by_peer();
  // Waits for a byte or the end, without taking it.
  bool has_input(int milliseconds) const;
  void reset();  // closes with a TCP reset

 private:
  RawSocket() = default;
  int descriptor_ = -1;
};

// TLS with none of our checks, on either side of a connection.
struct RawTlsOptions {
  std::optional<Credentials> own;
  std::filesystem::path authority;  // whom to believe; empty: anybody
  bool is_server = false;
  int max_version = 0;  // as OpenSSL counts
};
class RawTls {
 public:
  RawTls(RawSocket socket, const RawTlsOptions& options);
  ~RawTls();
  RawTls(RawTls&&) noexcept;
  bool handshake();
  bool send(std::span<const std::byte> bytes);
  bool send_key_update();
  bool is_closed_by_peer();  // as above, through the encryption
  RawSocket& socket() { return socket_; }

 private:
  struct State;
  RawSocket socket_;
  std::unique_ptr<State> state_;
};

// A listening port on this machine.
class Listener {
 public:
  Listener();
  ~Listener();
  std::uint16_t port() const { return port_; }
  std::optional<RawSocket> accept();  // nothing once stopped
  void stop();

 private:
  int descriptor_ = -1;
  std::uint16_t port_ = 0;
};

// Between two peers: passes bytes on, up to a number of them in each direction, then cuts the
// connection on both sides. `greet` may talk to the dialing side first, and refuse.
class Relay {
 public:
  struct Cut {
    std::uint64_t upstream = UINT64_MAX, downstream = UINT64_MAX;  // bytes before the cut
    bool with_reset = false;
  };
  using Greeting = std::function<bool(RawSocket&)>;
  explicit Relay(std::uint16_t target, Greeting greet = {});
  ~Relay();
  std::uint16_t port() const { return listener_.port(); }
  void set_cut(const Cut& cut);  // of the connections to come
  std::uint64_t passed_upstream() const { return upstream_; }
  std::uint64_t passed_downstream() const { return downstream_; }

 private:
  void serve(RawSocket near, Cut cut);

  const std::uint16_t target_;
  const Greeting greet_;
  Listener listener_;
  std::mutex mutex_;
  Cut cut_;
  std::atomic<std::uint64_t> upstream_{0}, downstream_{0};
  std::thread thread_;
};

}  // namespace fedstill
