#include "compression/edge/kernels.h"

namespace fedstill {

std::vector<const Kernels*> machine_kernels() { return {}; }

}  // namespace fedstill
