#include "training/chain/kernels.h"

#include "training/chain/kernel_table.h"
#include "training/chain/machine_kernels.h"

namespace fedstill::chain {

const Kernels kPortableKernels = kernels_of<1, 2, 1, 3, 1>("portable");

std::vector<const Kernels*> available_kernels() {
  std::vector<const Kernels*> found{&kPortableKernels};
  for (const Kernels* kernels : machine_kernels(machine_features())) found.push_back(kernels);
  return found;
}

const Kernels& fastest_kernels() {
  static const Kernels& fastest = *available_kernels().back();
  return fastest;
}

}  // namespace fedstill::chain
