#pragma once

#include <cstdint>

#include "collective/collective.h"

namespace fedstill {

// The ranks on the machine of this one.
struct Neighbours {
  int place = 0;                 // of this rank among them, from 0
  std::int64_t on_my_cores = 1;  // not bound apart from it; this one counts
};
Neighbours find_neighbours(Collective& all);  // every rank calls it

}  // namespace fedstill
