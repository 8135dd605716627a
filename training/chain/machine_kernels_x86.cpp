#include "training/chain/machine_kernels.h"

#include "training/chain/kernels.h"

namespace fedstill::chain {

extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Bf16Kernels kAvx512Bf16Kernels;

namespace {

Kernels with_bf16() {
  Kernels kernels = kAvx512Kernels;
  kernels.name = "avx512_bf16";
  kernels.bf16 = kAvx512Bf16Kernels;
  return kernels;
}

}  // namespace

MachineFeatures machine_features() {
  __builtin_cpu_init();
  MachineFeatures found;
  found.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  found.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  found.avx512_bf16 = __builtin_cpu_supports("avx512bf16");
  return found;
}

std::vector<const Kernels*> machine_kernels(const MachineFeatures& features) {
  static const Kernels avx512_with_bf16 = with_bf16();
  std::vector<const Kernels*> found;
  if (features.avx2) found.push_back(&kAvx2Kernels);
  if (features.avx512) found.push_back(&kAvx512Kernels);
  if (features.avx512 && features.avx512_bf16) found.push_back(&avx512_with_bf16);
  return found;
}

}  // namespace fedstill::chain
