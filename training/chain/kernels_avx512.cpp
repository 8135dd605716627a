// Compiled for AVX-512; reached only where the processor has it.
#include "training/chain/kernel_table.h"

namespace fedstill::chain {

extern const Kernels kAvx512Kernels;
const Kernels kAvx512Kernels = kernels_of<4, 5, 12, 24, 3>("avx512");

}  // namespace fedstill::chain
