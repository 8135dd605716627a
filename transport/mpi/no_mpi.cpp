// Built where MPI is absent.
#include "transport/mpi/mpi_channel.h"

namespace fedstill::mpi {

Channels open_channels(const ChannelOptions&) {
  throw ChannelClosed("[mpi channel] this program was built without MPI (libopenmpi-dev)");
}

}  // namespace fedstill::mpi
