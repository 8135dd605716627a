#pragma once

#include <chrono>

namespace fedstill::mpi {

// How a rank waits. While things move it spins, then yields, since MPI moves bytes when it is
// called; after a while without news it sleeps, longer and longer, so that a waiting rank costs
// next to nothing.
class BackOff {
 public:
  void news();         // something moved
  void pause() const;  // nothing did
  std::chrono::nanoseconds since_news() const;

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_news_ = Clock::now();
};

}  // namespace fedstill::mpi
