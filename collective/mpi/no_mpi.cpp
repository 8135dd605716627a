// Built where MPI is absent.
#include "collective/mpi/mpi.h"

namespace fedstill::mpi {

bool is_available() { return false; }

Session::Session() : exceptions_(0) {
  throw CollectiveError("[mpi] this program was built without MPI (libopenmpi-dev)");
}
Session::~Session() = default;
int Session::rank() const { return 0; }
int Session::size() const { return 1; }
void Session::abandon() { abandoned_ = true; }

std::unique_ptr<Collective> make(Session&, const Options&) {
  throw CollectiveError("[mpi] this program was built without MPI (libopenmpi-dev)");
}

}  // namespace fedstill::mpi
