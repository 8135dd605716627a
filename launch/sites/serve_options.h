#pragma once

#include "coordinator/coordinator.h"
#include "launch/command_line.h"
#include "launch/job.h"
#include "launch/run_folder.h"
#include "launch/stages/material.h"
#include "transport/tls/server.h"

namespace fedstill {

// A new state folder, or one to go on with: then the job is the one in it, and another is refused.
// Throws JobError, and what RunFolder throws.
RunFolder open_state(const CoordinatorCommand& command, Job& job);

// What a job means for the coordinator: the plan its clients get (settings for training, no paths),
// how long it waits and for how many.
CoordinatorOptions coordinator_options(const Job& job, const Material& material,
                                       const BlobInfo& pool);

// What it and the command line mean for the network.
ServerOptions server_options(const CoordinatorCommand& command, const Job& job);

}  // namespace fedstill
