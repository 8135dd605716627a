#include "transport/in_process/byte_queue.h"

namespace fedstill {

ByteQueue::ByteQueue(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

void ByteQueue::push(std::vector<std::byte> bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return closed_ || has_room(bytes.size()); });
  if (closed_) throw ChannelClosed("[channel] send after close");
  queued_bytes_ += bytes.size();
  frames_.push_back(std::move(bytes));
  changed_.notify_all();
}

std::optional<std::vector<std::byte>> ByteQueue::pop(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [&] { return closed_ || !frames_.empty(); });
  if (frames_.empty()) {
    if (closed_) throw ChannelClosed("[channel] closed");
    return std::nullopt;
  }
  std::vector<std::byte> bytes = std::move(frames_.front());
  frames_.pop_front();
  queued_bytes_ -= bytes.size();
  changed_.notify_all();
  return bytes;
}

void ByteQueue::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool ByteQueue::has_room(std::size_t bytes) const {
  return frames_.empty() || queued_bytes_ + bytes <= capacity_bytes_;
}

}  // namespace fedstill
