#pragma once

#include "coordinator/coordinator.h"
#include "launch/command_line.h"
#include "launch/job.h"
#include "launch/stages/material.h"
#include "transport/tls/server.h"

namespace fedstill {

// What a job means for the coordinator: the plan its clients get (settings for training, no paths),
// how long it waits and for how many.
CoordinatorOptions coordinator_options(const Job& job, const Material& material,
                                       const BlobInfo& pool);

// What it and the command line mean for the network.
ServerOptions server_options(const CoordinatorCommand& command, const Job& job);

}  // namespace fedstill
