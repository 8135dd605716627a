#pragma once

#include <chrono>

#include "collective/waking_time.h"

namespace fedstill::mpi {

// How a rank waits. While things move it spins, then yields, since MPI moves bytes when it is
// called; after a while without news it sleeps, longer and longer, so that a waiting rank costs
// next to nothing.
class BackOff {
 public:
  void news();   // something moved
  void pause();  // nothing did
  std::chrono::nanoseconds since_news();

 private:
  WakingTime time_;
  std::chrono::nanoseconds last_news_{0};
};

}  // namespace fedstill::mpi
