#include <mpi.h>

#include <array>
#include <exception>
#include <string>

#include "collective/mpi/check.h"
#include "collective/mpi/engine.h"
#include "collective/mpi/mpi.h"

namespace fedstill::mpi {

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw CollectiveError(std::string("[mpi] ") + call + ": " +
                        std::string(text.data(), static_cast<std::size_t>(length)));
}

bool is_available() { return true; }

Session::Session()
    : engines_(std::make_shared<Engines>()), exceptions_(std::uncaught_exceptions()) {
  int is_initialised = 0, granted = 0;
  check(MPI_Initialized(&is_initialised), "MPI_Initialized");
  if (is_initialised != 0) throw CollectiveError("[mpi] a process can have one session only");
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &granted), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);  // inherited by duplicates
  if (granted < MPI_THREAD_SERIALIZED) {
    MPI_Finalize();
    throw CollectiveError("[mpi] this MPI supports one thread only");
  }
}

Session::~Session() {
  if (!abandoned_ && std::uncaught_exceptions() <= exceptions_) MPI_Finalize();
}

int Session::rank() const {
  int rank = 0;
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  return rank;
}

int Session::size() const {
  int size = 0;
  check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  return size;
}

void Session::abandon() { abandoned_ = true; }

}  // namespace fedstill::mpi
