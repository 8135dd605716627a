#pragma once

#include <vector>

namespace fedstill::chain {

struct Kernels;

// What kernels need of the processor, and of the operating system, which must keep its registers.
struct MachineFeatures {
  bool avx2 = false, avx512 = false, avx512_bf16 = false;
};
MachineFeatures machine_features();

// Those for this processor family that need no more than these, slowest first.
std::vector<const Kernels*> machine_kernels(const MachineFeatures& features);

}  // namespace fedstill::chain
