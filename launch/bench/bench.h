#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>

#include "launch/bench/bench_command.h"
#include "launch/progress.h"

namespace fedstill {

// NOLINTNEXTLINE(bugprone-exception-escape): an empty json throws nothing
struct BenchResult {
  nlohmann::json data;  // one object, for programs
  std::string text;     // the same for people
  bool json = false;    // which of the two was asked for
};

// Measures what the command names. A part that this machine lacks the means for (another program to
// compare with) is left out, and the result says so. On ranks other than 0 data is null: rank 0
// tells. Throws Stopped when stop is set.
BenchResult run_bench(const BenchCommand& command, std::atomic<bool>& stop);

}  // namespace fedstill
