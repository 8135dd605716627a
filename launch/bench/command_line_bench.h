#pragma once

#include <CLI/App.hpp>

#include "launch/bench/bench_command.h"

namespace fedstill {

// "fedstill bench WHAT", for parse_command_line(). One member per measurement.
struct BenchCommands {
  BenchSimulateCommand simulate;
  BenchDistillCommand distill;
};
void add_bench_commands(CLI::App& root, BenchCommands& commands);
// Requires: the command line chose bench. Throws UsageError for options that do not go together.
BenchCommand chosen_bench_command(const CLI::App& root, const BenchCommands& commands);

}  // namespace fedstill
