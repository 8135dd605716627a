#include "launch/stages/worker_pool.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "training/fit.h"
#include "training/threads.h"

namespace fedstill {
namespace {

class Queue {
 public:
  Queue(std::vector<WorkItem> items, std::int64_t budget, std::atomic<bool>& stop, int threads)
      : items_(std::move(items)), budget_(budget), stop_(stop), threads_(threads) {
    std::stable_sort(items_.begin(), items_.end(),
                     [](const WorkItem& a, const WorkItem& b) { return a.cost > b.cost; });
  }

  void work() {
    set_thread_count(threads_);
    while (const WorkItem* item = take()) {
      std::exception_ptr error;
      try {
        item->work();
      } catch (...) {
        error = std::current_exception();
      }
      give_back(*item, error);
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
    if (stop_.load()) throw Stopped("[run] stopped");
  }

 private:
  const WorkItem* take() {
    std::unique_lock lock(mutex_);
    const auto ready = [&] {
      return stop_.load() || next_ == items_.size() || at_work_ == 0 ||
             used_ + items_[next_].memory_bytes <= budget_;
    };
    changed_.wait(lock, ready);
    if (stop_.load() || next_ == items_.size()) return nullptr;
    const WorkItem& item = items_[next_++];
    used_ += item.memory_bytes;
    ++at_work_;
    return &item;
  }

  void give_back(const WorkItem& item, const std::exception_ptr& error) {
    const std::lock_guard lock(mutex_);
    used_ -= item.memory_bytes;
    --at_work_;
    if (error) {
      // Those that stop because another failed are not the failure.
      if (!stop_.exchange(true) || !failure_) keep(error);
    }
    changed_.notify_all();
  }

  void keep(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const Stopped&) {
      return;
    } catch (...) {
      failure_ = error;
    }
  }

  std::vector<WorkItem> items_;
  std::int64_t budget_;
  std::atomic<bool>& stop_;
  int threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0;
  int at_work_ = 0;
  std::int64_t used_ = 0;
  std::exception_ptr failure_;
};

}  // namespace

void run_items(std::vector<WorkItem> items, int workers, std::int64_t memory_budget,
               std::atomic<bool>& stop, int threads) {
  const int count =
      std::clamp(workers, 1, static_cast<int>(std::max<std::size_t>(1, items.size())));
  Queue queue(std::move(items), memory_budget, stop, threads);
  {
    std::vector<std::jthread> pool;
    pool.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) pool.emplace_back([&queue] { queue.work(); });
  }
  queue.rethrow();
}

}  // namespace fedstill
