#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace fedstill {

// A thread that does one thing after the other, in the order in which they were given. Whoever
// gives them bounds how many wait. Every call from any thread.
class Worker {
 public:
  Worker();
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void give(std::function<void()> work);  // which must not throw; nothing after stop()
  std::size_t waiting() const;            // what is under way included
  // What is under way comes to its end, what waits is dropped. Not from the work itself.
  void stop();

 private:
  void run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool is_busy_ = false, is_stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace fedstill
