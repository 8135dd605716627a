#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace fedstill {

// A few threads that do many short batches of items together. Between batches they spin for a
// moment before they sleep: a batch may take less time than waking a thread.
class Workers {
 public:
  // Item i of a batch is done by one worker, 0 to count − 1; worker 0 is the thread that calls
  // run().
  using Work = std::function<void(int worker, std::size_t item)>;

  explicit Workers(int count);  // Requires: count > 0
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int count() const { return static_cast<int>(threads_.size()) + 1; }
  // Returns when all items are done. After a failure no further item is begun, and the first is
  // rethrown. One thread at a time.
  void run(std::size_t items, const Work& work);

 private:
  void dismiss();
  void serve(int worker);
  void take_items(int worker);

  const Work* work_ = nullptr;
  std::size_t items_ = 0;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::uint32_t> batch_ = 0;  // grows with every batch
  std::atomic<std::uint32_t> busy_ = 0;   // threads that still work on it
  std::atomic<bool> leave_ = false;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  // last: they are gone before what they use
};

}  // namespace fedstill
