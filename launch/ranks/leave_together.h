#pragma once

#include <chrono>

#include "collective/collective.h"
#include "transport/mpi/mpi_channel.h"

namespace fedstill {

// Who leaves first ends the job for all, so ranks that were told to stop wait until each has
// written its checkpoints; not for long, as one may hang or not have been told. What another one is
// still sending to this one is taken and dropped, since it looks whether it is to stop only between
// two chunks. Every rank calls it once, and nobody else uses the channels any more.
void leave_together(Collective& leaving, const mpi::Channels& channels,
                    std::chrono::milliseconds grace = std::chrono::seconds(20));

}  // namespace fedstill
