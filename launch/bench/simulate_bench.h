#pragma once

#include "launch/bench/bench.h"

namespace fedstill {

// FedAvg of the command's federation: client trainings a second, accuracy on the test images and
// memory, beside the same rounds in a bare PyTorch loop.
BenchResult bench_simulate(const BenchSimulateCommand& command, std::atomic<bool>& stop);

}  // namespace fedstill
