#pragma once

namespace fedstill {

// What the environment tells of the processes that mpirun or srun started as one job. Each throws
// UsageError where srun started several that cannot find each other (without --mpi=pmix): each
// would run the whole.
int started_ranks();  // this process among them; 1 without
int started_rank();   // this process's place among them; 0 without
void refuse_strangers();

}  // namespace fedstill
