// All-reduce of float32 per backend beside a bare MPI_Allreduce in the same run, and what a waiting
// rank costs. The rounds alternate between the two and in which of them comes first, so that both
// see the same machine and the same caches; threads that reduce among themselves come after all.
//   mpirun -np 2 fedstill_bench_all_reduce [LARGEST_MB] [SMALLEST_BYTES]   (default 256, 1024)
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "collective/local/local.h"
#include "collective/mpi/mpi.h"
#include "tests/support/clock.h"

namespace fedstill {
namespace {

struct Times {
  std::vector<double> ours, bare, local;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Seconds per call, as the slowest rank sees it.
double timed(int calls, const std::function<void()>& call) {
  MPI_Barrier(MPI_COMM_WORLD);
  const auto begin = Clock::now();
  for (int i = 0; i < calls; ++i) call();
  double seconds = seconds_since(begin) / calls;
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

double timed_local(int calls, int ranks, std::size_t count) {
  double seconds = 0;
  local::run_ranks(ranks, [&](Collective& group) {
    std::vector<float> data(count, 1.0F);
    group.all_reduce(elements(data)).wait();
    group.barrier().wait();
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) group.all_reduce(elements(data)).wait();
    group.barrier().wait();
    if (group.rank() == 0) seconds = seconds_since(begin) / calls;
  });
  return seconds;
}

Times measure(Collective& group, std::size_t count, int rounds, int calls) {
  std::vector<float> data(count, 1.0F);
  const auto ours = [&] { group.all_reduce(elements(data)).wait(); };
  const auto bare = [&] {
    MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  };
  Times times;
  for (int round = 0; round < 2 * rounds; ++round) {
    const bool is_ours = (round + round / 2) % 2 == 0;
    std::fill(data.begin(), data.end(), 1.0F);
    is_ours ? ours() : bare();
    (is_ours ? times.ours : times.bare)
        .push_back(is_ours ? timed(calls, ours) : timed(calls, bare));
  }
  for (int round = 0; round < rounds && group.rank() == 0; ++round)
    times.local.push_back(timed_local(calls, group.size(), count));
  group.barrier().wait();  // the other ranks sleep meanwhile
  return times;
}

void print_sizes(Collective& group, std::size_t smallest, std::size_t largest) {
  if (group.rank() == 0)
    std::printf("%10s %12s %12s %12s %9s %11s   (GB/s of payload, medians)\n", "bytes", "bare MPI",
                "mpi", "local", "mpi/bare", "local/bare");
  for (std::size_t bytes = smallest; bytes <= largest; bytes *= 4) {
    const int calls =
        static_cast<int>(std::clamp<std::size_t>((std::size_t{1} << 26) / bytes, 1, 200));
    const Times times = measure(group, bytes / 4, 9, calls);
    if (group.rank() != 0) continue;
    const double bare = median(times.bare), ours = median(times.ours), local = median(times.local);
    const double gigabytes = 1e-9 * static_cast<double>(bytes);
    std::printf("%10zu %12.3f %12.3f %12.3f %9.2f %11.2f\n", bytes, gigabytes / bare,
                gigabytes / ours, gigabytes / local, bare / ours, bare / local);
    std::fflush(stdout);
  }
}

void print_waiting_cost(Collective& group) {
  constexpr double kLate = 3;
  std::vector<float> data(1 << 20, 1.0F);
  group.barrier().wait();
  if (group.rank() == group.size() - 1)
    std::this_thread::sleep_for(std::chrono::duration<double>(kLate));
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  group.all_reduce(elements(data)).wait();
  if (group.rank() == 0)
    std::printf("a rank waiting %.1f s for a late one used %.1f %% of a core\n",
                seconds_since(begin), 100 * (cpu_seconds() - cpu) / seconds_since(begin));
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  std::size_t megabytes = 256, smallest = 1024;
  CLI::App app("Under mpirun: sums of growing sizes over ranks, beside a bare MPI_Allreduce");
  app.option_defaults()->always_capture_default();
  app.add_option("MEGABYTES", megabytes, "the largest size");
  app.add_option("SMALLEST", smallest, "bytes of the smallest");
  CLI11_PARSE(app, argc, argv);
  fedstill::mpi::Session session;
  const auto group = fedstill::mpi::make(session);
  if (session.rank() == 0) {
    double load = 0;
    getloadavg(&load, 1);
    std::printf("%d ranks on %u cores, load before the start %.1f\n", session.size(),
                std::thread::hardware_concurrency(), load);
  }
  fedstill::print_sizes(*group, smallest, megabytes << 20);
  fedstill::print_waiting_cost(*group);
}
