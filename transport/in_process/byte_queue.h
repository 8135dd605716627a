#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "transport/channel.h"

namespace fedstill {

// One direction of an in-process channel: whole encoded frames between threads, bounded by bytes so
// that a fast sender cannot fill the memory. A single frame of any size passes.
class ByteQueue {
 public:
  explicit ByteQueue(std::size_t capacity_bytes);

  void push(std::vector<std::byte> bytes);  // blocks while full; throws ChannelClosed
  // Nothing if none came within the time. What was pushed before close() is still handed out, then
  // ChannelClosed is thrown.
  std::optional<std::vector<std::byte>> pop(std::chrono::milliseconds wait);
  void close();  // wakes everybody

 private:
  bool has_room(std::size_t bytes) const;
  const std::size_t capacity_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<std::byte>> frames_;
  std::size_t queued_bytes_ = 0;
  bool closed_ = false;
};

// One end over two queues; closing it closes both.
std::unique_ptr<Channel> make_in_process_end(std::shared_ptr<ByteQueue> inbox,
                                             std::shared_ptr<ByteQueue> outbox,
                                             const FrameLimits& limits = {});

}  // namespace fedstill
