#include "coordinator/worker.h"

#include <utility>

namespace fedstill {

Worker::Worker() : thread_([this] { run(); }) {}

void Worker::give(std::function<void()> work) {
  {
    const std::lock_guard guard(mutex_);
    if (is_stopping_) return;
    queue_.push_back(std::move(work));
  }
  changed_.notify_one();
}

std::size_t Worker::waiting() const {
  const std::lock_guard guard(mutex_);
  return queue_.size() + (is_busy_ ? 1 : 0);
}

void Worker::stop() {
  std::deque<std::function<void()>> dropped;  // destroyed without the lock
  {
    const std::lock_guard guard(mutex_);
    is_stopping_ = true;
    dropped.swap(queue_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    is_busy_ = false;
    changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
    if (is_stopping_) return;
    const std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    is_busy_ = true;
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace fedstill
