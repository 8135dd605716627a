#include "launch/ranks/started.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "launch/command_line.h"

namespace fedstill {
namespace {

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

int number(const char* name, int otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr ? otherwise : std::atoi(value);
}

bool mpirun_started() { return is_set("OMPI_COMM_WORLD_SIZE"); }

// Slurm tells them to the processes of a step, not to a batch script.
int tasks_of_srun() { return number("SLURM_STEP_NUM_TASKS", 1); }

}  // namespace

void refuse_strangers() {
  const bool meet = mpirun_started() || is_set("PMIX_RANK");
  const bool shell = is_set("SLURM_PTY_PORT");  // srun --pty: somebody types into one of them
  if (meet || shell || tasks_of_srun() <= 1) return;
  throw UsageError("srun started " + std::to_string(tasks_of_srun()) +
                   " processes that cannot find each other, and each would run the whole: start "
                   "them with srun --mpi=pmix, or with mpirun");
}

int started_ranks() {
  refuse_strangers();
  if (mpirun_started()) return std::max(1, number("OMPI_COMM_WORLD_SIZE", 1));
  return is_set("PMIX_RANK") ? std::max(1, tasks_of_srun()) : 1;
}

int started_rank() {
  refuse_strangers();
  return std::max(0, number("OMPI_COMM_WORLD_RANK", number("PMIX_RANK", 0)));
}

}  // namespace fedstill
