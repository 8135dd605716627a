#pragma once

#include <atomic>
#include <exception>
#include <filesystem>
#include <thread>

#include "client/participant.h"

namespace fedstill {

// One update in the making, on its own thread.
class Making {
 public:
  Making(const SiteWork& work, const RoundPlan& plan) : plan_(plan) {
    thread_ = std::thread([this, &work] {
      try {
        file_ = work.make_update(plan_, progress_, stop_);
      } catch (...) {
        failure_ = std::current_exception();
      }
      is_over_ = true;
    });
  }
  ~Making() {
    stop_ = true;
    thread_.join();
  }
  Making(const Making&) = delete;
  Making& operator=(const Making&) = delete;

  bool is_over() const { return is_over_; }
  bool is_of(const RoundPlan& plan) const {
    return plan.job == plan_.job && plan.round == plan_.round;
  }
  WorkProgress::Report progress() const { return progress_.last(); }
  std::filesystem::path result() const {  // Requires: is_over()
    if (failure_) std::rethrow_exception(failure_);
    return file_;
  }

 private:
  RoundPlan plan_;
  WorkProgress progress_;
  std::atomic<bool> stop_ = false, is_over_ = false;
  std::filesystem::path file_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace fedstill
