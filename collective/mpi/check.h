#pragma once

namespace fedstill::mpi {

// Throws CollectiveError with MPI's own words unless `code` is MPI_SUCCESS.
void check(int code, const char* call);

}  // namespace fedstill::mpi
