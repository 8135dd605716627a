#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "collective/nccl/nccl.h"
#include "launch/progress.h"

namespace fedstill {

// The group in which the gradients of the distillers' devices meet, this rank's being the one
// given; nothing where they are on the host, or go by way of it because NCCL cannot be used: then
// all of them are without it, and the first says why. Every distiller calls it.
std::unique_ptr<Collective> join_devices(at::Device device, Collective& distillers,
                                         Progress& progress, nccl::Options options = {});

}  // namespace fedstill
