#include "training/chain/kernels.h"

namespace fedstill::chain {

extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

std::vector<const Kernels*> machine_kernels() {
  __builtin_cpu_init();
  std::vector<const Kernels*> found;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    found.push_back(&kAvx2Kernels);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")) {
    found.push_back(&kAvx512Kernels);
  }
  return found;
}

}  // namespace fedstill::chain
