#include "training/chain/machine_kernels.h"

namespace fedstill::chain {

MachineFeatures machine_features() { return {}; }
std::vector<const Kernels*> machine_kernels(const MachineFeatures&) { return {}; }

}  // namespace fedstill::chain
