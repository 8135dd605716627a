#include "averaging/workers.h"

#include <chrono>

namespace fedstill {
namespace {

constexpr std::chrono::microseconds kSpin{200};

// Until the value is no longer `old`.
void await_change(std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (value.load(std::memory_order_acquire) == old) {
    if (std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    } else {
      value.wait(old, std::memory_order_acquire);
    }
  }
}

}  // namespace

Workers::Workers(int count) {
  try {
    for (int worker = 1; worker < count; ++worker) {
      threads_.emplace_back([this, worker] { serve(worker); });
    }
  } catch (...) {  // those that were started would be joined asleep
    dismiss();
    throw;
  }
}

Workers::~Workers() { dismiss(); }

void Workers::dismiss() {
  leave_ = true;
  ++batch_;
  batch_.notify_all();
}

void Workers::serve(int worker) {
  for (std::uint32_t seen = 0;; ++seen) {
    await_change(batch_, seen);
    if (leave_) return;
    take_items(worker);
    if (--busy_ == 0) busy_.notify_all();
  }
}

void Workers::take_items(int worker) {
  for (std::size_t item = next_++; item < items_; item = next_++) {
    try {
      (*work_)(worker, item);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      next_ = items_;
    }
  }
}

void Workers::run(std::size_t items, const Work& work) {
  work_ = &work;
  items_ = items;
  next_ = 0;
  failure_ = nullptr;
  busy_ = static_cast<std::uint32_t>(threads_.size());
  ++batch_;
  batch_.notify_all();
  take_items(0);
  for (std::uint32_t busy = busy_; busy != 0; busy = busy_) await_change(busy_, busy);
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace fedstill
