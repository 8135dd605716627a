#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "transport/tls/credentials.h"

namespace fedstill {

// The connection broke, or the peer is not who it must be.
class WireError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The peer showed a certificate that this side does not accept.
class Distrust : public WireError {
 public:
  using WireError::WireError;
};

// The peer does not accept this side's certificate, and says so.
class RefusalAlert : public WireError {
 public:
  RefusalAlert(const std::string& what, std::string reason)
      : WireError(what), reason_(std::move(reason)) {}
  const std::string& reason() const { return reason_; }

 private:
  std::string reason_;
};

// What to wait for on the socket before the same call is made again.
enum class Need { kNothing, kReadable, kWritable };

struct Progress {
  std::size_t bytes = 0;
  Need need = Need::kNothing;
  bool ended = false;  // the peer sends no more
};

// Bytes over one connected, non-blocking socket, plain or encrypted. No call ever waits. One thread
// at a time. Does not own the socket. Calls throw WireError.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual Need handshake() = 0;  // kNothing once it is complete and the peer is verified
  // Fills as much as there is. Never says "readable" while it holds bytes itself.
  virtual Progress read(std::span<std::byte> out) = 0;
  // Takes what it can, in order. What it took may still be inside: see flush().
  virtual Progress write(const std::array<std::span<const std::byte>, 2>& pieces) = 0;
  virtual Need flush() = 0;               // kNothing when the socket has everything
  virtual void end() noexcept = 0;        // says goodbye; nothing may be written after
  virtual PeerIdentity peer() const = 0;  // Requires: the handshake is complete
};

std::unique_ptr<Wire> make_plain_wire(int socket);

}  // namespace fedstill
