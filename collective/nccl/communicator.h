#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "collective/nccl/api.h"
#include "collective/waking_time.h"

namespace fedstill::nccl {

// Most waits take microseconds; whoever has waited longer leaves the core to others.
void pause(std::chrono::nanoseconds waited);

// An NCCL communicator with its stream and the thread that watches over it. NCCL wants one thread
// at a time inside a communicator, so every call takes the lock, and none waits for the device in
// it.
class Communicator {
 public:
  // Waits until all ranks have met, for init_deadline at most. Throws CollectiveError.
  Communicator(const Api& api, const Options& options, const UniqueId& id, int rank, int ranks);
  ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  Event begin(const Operation& operation);  // recorded behind it; give it back by retire()
  bool is_done(Event event);                // throws CollectiveError once the group has failed
  void retire(Event event);
  void give_up(const std::string& why);

 private:
  struct Watched {
    Event event;
    std::chrono::nanoseconds begun;  // by time_
    std::string what;
  };

  void meet(const UniqueId& id, int rank, int ranks);
  void release();
  void settle(int result, const char* call, std::chrono::nanoseconds deadline);
  int launch(const Operation& operation);
  Event record(Stream stream);
  void check_nccl(int result, const char* call) const;
  void check_cuda(int result, const char* call) const;
  void fail(const std::string& why);  // aborts; the lock is held
  void watch();
  void look();

  const Api api_;
  const Options options_;
  Comm comm_ = nullptr;
  Stream stream_ = nullptr;
  void* token_ = nullptr;  // one number on the device, for barriers
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::string failure_;
  WakingTime time_;
  std::deque<Watched> watched_;
  std::jthread watchdog_;
};

}  // namespace fedstill::nccl
