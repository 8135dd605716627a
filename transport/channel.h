#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "transport/frame.h"

namespace fedstill {

// The other side is gone: nothing more will arrive, nothing more can be sent.
class ChannelClosed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One end of a two-way conversation between two parties that may be slow, gone or hostile. Frames
// arrive whole, once and in order. One thread may send while another receives; close() may be
// called from any thread and wakes both.
class Channel {
 public:
  virtual ~Channel() = default;
  virtual void send(
      const Frame& frame) = 0;  // blocks while the peer's inbox is full; throws ChannelClosed
  // The next frame, or nothing if none came within the time. Throws ChannelClosed, or DecodeError
  // when the peer's bytes are damaged (the channel is closed then).
  virtual std::optional<Frame> receive(std::chrono::milliseconds wait) = 0;
  virtual void close() = 0;
};

// Two connected ends in one process. The bytes travel encoded, so what is tested here is what runs
// over a network.
std::pair<std::unique_ptr<Channel>, std::unique_ptr<Channel>> make_in_process_channel(
    const FrameLimits& limits = {});

}  // namespace fedstill
