#include "training/chain/kernels.h"

namespace fedstill::chain {

std::vector<const Kernels*> machine_kernels() { return {}; }

}  // namespace fedstill::chain
