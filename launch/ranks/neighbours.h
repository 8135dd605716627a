#pragma once

#include <c10/core/Device.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "collective/collective.h"

namespace fedstill {

// The ranks on the machine of this one.
struct Neighbours {
  int place = 0;                 // of this rank among them, from 0
  std::int64_t on_my_cores = 1;  // not bound apart from it; this one counts
  bool first_is_here = true;     // rank 0
  std::vector<pid_t> before{};   // the processes of the ranks here that come before this one
};
Neighbours find_neighbours(Collective& all);  // every rank calls it

// How many ranks compute on the device of this one, itself among them. Of the host: 1. Devices are
// told apart by their UUID; without one, by their number and CUDA_VISIBLE_DEVICES. Every rank calls
// it.
std::int64_t ranks_on_device(Collective& all, at::Device device, const std::string& uuid);

}  // namespace fedstill
