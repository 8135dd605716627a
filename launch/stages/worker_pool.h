#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace fedstill {

// One piece of work that is independent of the others.
struct WorkItem {
  double cost = 0.0;              // rough time; the longest are begun first
  std::int64_t memory_bytes = 0;  // rough peak
  std::function<void()> work;
};

// Runs all items on so many workers, each with so many LibTorch threads. An item waits while those
// at work leave too little of the memory budget; alone it always runs. The first failure sets stop,
// the others end, and it is rethrown; Stopped is thrown if stop came from outside.
void run_items(std::vector<WorkItem> items, int workers, std::int64_t memory_budget,
               std::atomic<bool>& stop, int threads = 1);

}  // namespace fedstill
