#include "launch/stages/worker_pool.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "training/fit.h"

namespace fedstill {
namespace {

TEST(WorkerPool, RunsEveryItemOnce) {
  for (const int workers : {1, 4, 100}) {
    std::atomic<bool> stop{false};
    std::vector<std::atomic<int>> runs(20);
    std::vector<WorkItem> items;
    for (auto& count : runs) items.push_back({1.0, 1, [&count] { ++count; }});
    run_items(std::move(items), workers, 1 << 20, stop);
    for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    EXPECT_FALSE(stop.load());
  }
  std::atomic<bool> stop{false};
  run_items({}, 2, 0, stop);
}

TEST(WorkerPool, GivesEveryWorkerItsThreads) {
  for (const int threads : {1, 2}) {
    std::atomic<bool> stop{false};
    std::atomic<int> found{0};
    run_items({{1.0, 0, [&] { found = at::get_num_threads(); }}}, 1, 0, stop, threads);
    EXPECT_EQ(found, threads);
  }
}

TEST(WorkerPool, BeginsWithTheLongest) {
  std::atomic<bool> stop{false};
  std::vector<int> order;
  std::vector<WorkItem> items;
  for (const int cost : {1, 3, 2}) {
    items.push_back({static_cast<double>(cost), 0, [&order, cost] { order.push_back(cost); }});
  }
  run_items(std::move(items), 1, 0, stop);
  EXPECT_EQ(order, (std::vector<int>{3, 2, 1}));
}

TEST(WorkerPool, KeepsToTheMemoryBudget) {
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::int64_t used = 0, most = 0;
  std::vector<WorkItem> items;
  for (int i = 0; i < 24; ++i) {
    const std::int64_t memory = 1 + i % 4;
    items.push_back({1.0, memory, [&, memory] {
                       {
                         const std::lock_guard guard(mutex);
                         most = std::max(most, used += memory);
                       }
                       // Others have their chance to take too much.
                       for (int turn = 0; turn < 300; ++turn) std::this_thread::yield();
                       const std::lock_guard guard(mutex);
                       used -= memory;
                     }});
  }
  items.push_back({0.5, 100, [] {}});  // more than the budget: runs alone
  run_items(std::move(items), 8, 5, stop);
  EXPECT_LE(most, 5);
}

TEST(WorkerPool, RethrowsTheFailureNotThoseItStopped) {
  std::atomic<bool> stop{false};
  std::barrier both(2);
  std::vector<WorkItem> items;
  items.push_back({2.0, 0, [&] {
                     both.arrive_and_wait();
                     throw std::runtime_error("disk");
                   }});
  items.push_back({1.0, 0, [&] {
                     both.arrive_and_wait();
                     while (!stop.load()) std::this_thread::yield();
                     throw Stopped("stopped");
                   }});
  bool third = false;
  items.push_back({0.5, 0, [&] { third = true; }});
  EXPECT_THROW(
      try { run_items(std::move(items), 2, 0, stop); } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "disk");
        throw;
      },
      std::runtime_error);
  EXPECT_FALSE(third);
}

TEST(WorkerPool, AStopFromOutsideIsStopped) {
  std::atomic<bool> stop{true};
  bool ran = false;
  EXPECT_THROW(run_items({{1.0, 0, [&] { ran = true; }}}, 2, 0, stop), Stopped);
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace fedstill
