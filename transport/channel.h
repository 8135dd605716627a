#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "transport/frame.h"

namespace fedstill {

// The other side is gone: nothing more will arrive, nothing more can be sent.
class ChannelClosed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One end of a two-way conversation between two parties that may be slow, gone or hostile. Frames
// arrive whole, once and in order. One thread may send while another receives; close() may be
// called from any thread and wakes both. Destroying an end closes it.
class Channel {
 public:
  virtual ~Channel() = default;
  // Blocks while the peer's inbox is full. Throws ChannelClosed, or std::invalid_argument for a
  // frame that no peer would accept (see find_problem).
  virtual void send(const Frame& frame) = 0;
  // The same; the body is not copied where the backend keeps it until the peer has taken it.
  virtual void send(Frame&& frame) { send(std::as_const(frame)); }
  // The next frame, or nothing if none came within the time. What the peer sent before it closed
  // still arrives; after that, or after a close() on this side, throws ChannelClosed. Throws
  // DecodeError when the peer's bytes are damaged or over a limit; the channel is closed then.
  virtual std::optional<Frame> receive(std::chrono::milliseconds wait) = 0;
  // A received body that is no longer needed: the next one may go into the same memory, which has
  // to be neither cleared nor fetched from the system again. Used from the receiving thread.
  virtual void recycle(std::vector<std::byte>&& /*body*/) {}
  // Bytes that came so far, those of a frame that is not whole yet included; 0 where the backend
  // moves whole frames only. Used from the receiving thread.
  virtual std::uint64_t received_bytes() const { return 0; }
  virtual void close() = 0;
};

// Two connected ends in one process. The bytes travel encoded, so what is tested here is what runs
// over a network.
std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> make_in_process_channel(
    const FrameLimits& limits = {});

}  // namespace fedstill
