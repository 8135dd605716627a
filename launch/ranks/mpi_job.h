#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>

#include "launch/command_line.h"
#include "launch/progress.h"

namespace fedstill {

// Runs a whole job on the ranks that mpirun or Slurm started, each calling this, or goes on with
// the one in command.run. Returns the report on rank 0, null on the others. The run folder is rank
// 0's; another rank keeps what is its own in ranks/<rank> below the same path. Throws Stopped when
// a rank was asked to stop, CollectiveError where MPI fails or was not built in, and what a stage
// throws; then mpirun ends the other ranks.
nlohmann::json run_on_ranks(const MpiCommand& command, Progress& progress, std::atomic<bool>& stop);

}  // namespace fedstill
