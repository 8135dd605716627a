#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "launch/bench/federation.h"
#include "launch/progress.h"

namespace fedstill {

// One program's part of `bench simulate`.
struct SimulationResult {
  double seconds = 0.0;  // of all rounds
  double start_up_seconds = 0.0;
  double test_accuracy = 0.0;
  std::int64_t trainings = 0, memory_bytes = 0;  // memory: at its peak
  Graph trained{};                               // the global model after the last round
};

// The same rounds in a bare PyTorch loop on one thread: the same first weights, clients and
// batches. The child is bench/bare_fedavg.py, run by the given Python. Where there is no such loop
// or Python, `missing` says so and there is no result. Throws Stopped when stop is set,
// std::runtime_error where the loop fails, and std::system_error for the folder it works in.
struct BareLoop {
  std::optional<SimulationResult> result;
  std::string missing;
};
BareLoop run_bare_loop(const BenchFederation& federation, const std::string& python,
                       Progress& progress, std::atomic<bool>& stop);

}  // namespace fedstill
