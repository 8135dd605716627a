#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "transport/tls/connection.h"
#include "transport/tls/server_options.h"

namespace fedstill {

class ServerCore;

struct ServerCounters {
  std::size_t connections = 0, handshakes = 0;  // now
  std::uint64_t accepted = 0, refused = 0;      // since the start; refused: connections
  std::uint64_t shut_out = 0;                   // times that somebody was
  std::uint64_t bytes_received = 0, bytes_sent = 0;
};

// Many connections on one port. Bytes are encrypted and moved by several threads, in bounded turns,
// so that no connection waits long for another; nothing of a peer is parsed before its handshake
// is complete.
class Server {
 public:
  // Listens, and accepts once started. Throws CredentialError, std::invalid_argument for bad
  // limits or access files, std::system_error when the port cannot be had.
  Server(const ServerOptions& options, ServerHandlers handlers);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();
  std::uint16_t port() const;
  void post(std::function<void()> work);  // runs on the brain
  void run_after(std::chrono::milliseconds delay, std::function<void()> work);
  // Closes every connection and waits until they are gone, close_timeout at most. No handler runs
  // after it returned. Not from a handler.
  void stop();
  // What this peer asked for was refused: by whoever refused it, on any thread. Too often, and it
  // is shut out for a while.
  void note_refusal(const PeerIdentity& peer);
  ServerCounters counters() const;

 private:
  std::shared_ptr<ServerCore> core_;
};

}  // namespace fedstill
