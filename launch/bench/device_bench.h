#pragma once

#include <atomic>

#include "launch/bench/bench.h"

namespace fedstill {

// Images a second of one rank on a device: fitting a student with its step recorded, step by step,
// and with its gradients in NCCL's group of one; asking a teacher; each beside PyTorch. Throws
// DeviceError where the device cannot be used, Stopped.
BenchResult bench_device(const BenchDistillCommand& command, std::atomic<bool>& stop);

}  // namespace fedstill
