#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "collective/collective.h"

namespace fedstill {

// The ranks on the machine of this one.
struct Neighbours {
  int place = 0;                 // of this rank among them, from 0
  std::int64_t on_my_cores = 1;  // not bound apart from it; this one counts
};
Neighbours find_neighbours(Collective& all);  // every rank calls it

// How many ranks compute on the device of this one, itself among them. Of the host: 1. Devices are
// told apart by their UUID; without one, by their number and CUDA_VISIBLE_DEVICES. Every rank calls
// it.
std::int64_t ranks_on_device(Collective& all, at::Device device, const std::string& uuid);

}  // namespace fedstill
