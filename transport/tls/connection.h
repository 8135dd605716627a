#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "transport/frame.h"
#include "transport/tls/credentials.h"

namespace fedstill {

enum class CloseCause { kHere, kPeer, kBadBytes, kTooSlow, kTooMuch, kAccess, kHandler, kBroken };

// One verified peer, for as long as somebody holds it. Every call from any thread.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual const PeerIdentity& peer() const = 0;
  // Queues. False, and nothing is sent, once the connection is closed; a peer that lets more than
  // max_outbox_bytes pile up is closed. Throws std::invalid_argument for a frame that no peer
  // would accept.
  virtual bool send(Frame frame) = 0;
  virtual std::size_t queued_bytes() const = 0;  // not yet handed to the socket
  // No frame is delivered between the two, and the peer is held back by TCP; time that passes so
  // is not the peer's fault. To be called while the frame's handler runs, to finish it elsewhere.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  // What was sent before still goes out, for close_timeout at most. No frame is delivered after.
  virtual void close(const std::string& reason) = 0;
};
using ConnectionPtr = std::shared_ptr<Connection>;

// All run one after the other, never at once, on the server's brain: they share state without
// locks, and must not wait. What a handler throws closes its connection. For each connection:
// on_open, any number of the others, on_close once.
struct ServerHandlers {
  std::function<void(const ConnectionPtr&)> on_open;
  // The next frame comes only when this returned. The body may be moved out; one that is left
  // lends its memory to the next.
  std::function<void(const ConnectionPtr&, Frame&&)> on_frame;
  std::function<void(const ConnectionPtr&)> on_drained;  // the socket has all: time to send more
  std::function<void(const ConnectionPtr&, CloseCause, const std::string& reason)> on_close;
  std::function<void(const std::string& address, const std::string& reason)> on_refused;
  std::function<void(const std::string&)> on_warning;  // the server goes on; somebody should look
};

}  // namespace fedstill
