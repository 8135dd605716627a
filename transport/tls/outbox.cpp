#include "transport/tls/outbox.h"

#include <utility>

namespace fedstill {

Outbox::Answer Outbox::push(Item item) {
  const std::lock_guard lock(mutex_);
  if (!is_open_) return Answer::kClosed;
  if (queued_ > 0 && queued_ + item.left() > max_bytes_) return Answer::kFull;
  queued_ += item.left();
  items_.push_back(std::move(item));
  return Answer::kTaken;
}

bool Outbox::close() {
  const std::lock_guard lock(mutex_);
  return std::exchange(is_open_, false);
}

void Outbox::clear() {
  const std::lock_guard lock(mutex_);
  items_.clear();
  queued_ = 0;
}

bool Outbox::is_open() const {
  const std::lock_guard lock(mutex_);
  return is_open_;
}

std::size_t Outbox::queued_bytes() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

Outbox::Item* Outbox::front() {
  const std::lock_guard lock(mutex_);
  return items_.empty() ? nullptr : &items_.front();
}

void Outbox::wrote(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return;
  queued_ -= bytes;
  items_.front().done += bytes;
  if (items_.front().left() == 0) items_.pop_front();
}

}  // namespace fedstill
