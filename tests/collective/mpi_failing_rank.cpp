// One rank of a job that goes wrong: mpi_failure_test.py runs it under mpiexec and looks at how it
// ends.
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <vector>

#include "collective/mpi/mpi.h"

namespace {

void run(const std::string& fate) {
  fedstill::mpi::Session session;
  fedstill::mpi::Options options;
  options.deadline = std::chrono::milliseconds(fate == "silent" ? 500 : 600'000);
  const auto group = fedstill::mpi::make(session, options);
  std::vector<float> data(100'000, 1.0F);
  group->all_reduce(fedstill::elements(data)).wait();
  if (session.rank() == 1 && fate == "killed") std::raise(SIGKILL);
  if (session.rank() == 1 && fate == "throws") throw std::domain_error("rank 1 has had enough");
  if (session.rank() == 1 && fate == "silent") {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < end) {
    }
  }
  group->all_reduce(fedstill::elements(data)).wait();
}

}  // namespace

int main(int, char** argv) {
  try {
    run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 70;
  }
}
