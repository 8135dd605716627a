#pragma once

namespace fedstill::mpi {

// Throws ChannelClosed with MPI's own words unless `code` is MPI_SUCCESS.
void require(int code, const char* call);

}  // namespace fedstill::mpi
