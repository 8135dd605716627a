// Compiled for AVX2 and FMA; reached only where the processor has it.
#include "training/chain/kernel_table.h"

namespace fedstill::chain {

extern const Kernels kAvx2Kernels;
const Kernels kAvx2Kernels = kernels_of<2, 3, 3, 6, 1>("avx2");

}  // namespace fedstill::chain
