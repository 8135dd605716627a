#include "launch/bench/bench.h"

#include "launch/bench/distill_bench.h"
#include "launch/bench/simulate_bench.h"

namespace fedstill {
namespace {

BenchResult run(const BenchDistillCommand& command, std::atomic<bool>& stop) {
  return bench_distill(command, stop);
}

BenchResult run(const BenchSimulateCommand& command, std::atomic<bool>& stop) {
  return bench_simulate(command, stop);
}

}  // namespace

BenchResult run_bench(const BenchCommand& command, std::atomic<bool>& stop) {
  return std::visit([&](const auto& chosen) { return run(chosen, stop); }, command);
}

}  // namespace fedstill
