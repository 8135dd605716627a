#pragma once

#include <chrono>

#include "transport/tls/endpoint.h"
#include "transport/tls/pacing.h"
#include "transport/tls/wire.h"

namespace fedstill {

// A connected TCP socket that closes itself.
class OpenSocket {
 public:
  explicit OpenSocket(int descriptor) : descriptor_(descriptor) {}
  ~OpenSocket();
  OpenSocket(OpenSocket&& other) noexcept;
  OpenSocket& operator=(OpenSocket&&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Tries every address of the name in turn. Non-blocking afterwards. Throws DialError.
OpenSocket connect_to(const Endpoint& endpoint, SteadyTime deadline);

// Whether the socket became ready (or broken) by the deadline.
bool wait_for(int socket, Need need, SteadyTime deadline);

// Whether the peer said that it sends no more, perhaps after bytes that are still unread.
bool has_peer_ended(int socket);

// Requires: the socket was shut for sending. Whether the peer's kernel has everything, or is gone.
bool has_delivered(int socket);

// "host:port" of the other end.
std::string peer_address(int socket);

}  // namespace fedstill
