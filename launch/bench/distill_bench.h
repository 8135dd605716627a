#pragma once

#include "launch/bench/bench.h"

namespace fedstill {

// How data-parallel distillation scales: images a second on one rank and on several, with the
// threads of this process and with mpirun, gradients exchanged beside backward and after it, beside
// jobs that know nothing of each other and PyTorch's DistributedDataParallel. All take turns, so
// that they see the same machine; medians. Writes the plot where one is asked for.
BenchResult bench_distill(const BenchDistillCommand& command, std::atomic<bool>& stop);

}  // namespace fedstill
