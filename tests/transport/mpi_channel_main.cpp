// Run under mpiexec: alone the process has both ends of every channel and runs the contract suite;
// among others it is one of the ranks that talk to each other.
#include <gtest/gtest.h>
#include <mpi.h>

int main(int argc, char** argv) {
  int granted = 0, rank = 0, size = 1;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &granted);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank != 0) testing::GTEST_FLAG(brief) = true;  // but for failures
  testing::GTEST_FLAG(filter) = size == 1 ? "-MpiRanks.*" : "MpiRanks.*";
  testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  if (result == 0) MPI_Finalize();
  return result;
}
