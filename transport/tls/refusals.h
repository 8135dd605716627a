#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

#include "transport/tls/pacing.h"

namespace fedstill {

struct RefusalLimits {
  unsigned most = 0;  // in a window; who is refused more often is shut out. 0: no limit
  std::chrono::milliseconds window{60'000};
  std::chrono::milliseconds shut_out{60'000};  // for so long; what comes meanwhile does not count
  std::size_t max_peers = 4096;                // of more, who was refused first is forgotten
};

// How often each peer was refused lately. The clock is an argument. One thread.
class Refusals {
 public:
  explicit Refusals(const RefusalLimits& limits) : limits_(limits) {}

  // Whether this was the one too many: the peer is shut out from now on.
  bool note(const std::string& peer, SteadyTime now);
  bool is_shut_out(const std::string& peer, SteadyTime now) const;
  const RefusalLimits& limits() const { return limits_; }
  std::size_t peers() const { return entries_.size(); }

 private:
  struct Entry {
    std::string peer;
    SteadyTime began{};
    unsigned count = 0;
    bool is_out = false;  // since `began`
  };
  RefusalLimits limits_;
  std::list<Entry> entries_;  // by when they began
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

}  // namespace fedstill
