#include "tests/training/far/far_device.h"
#include "tests/training/on_device.h"

namespace fedstill {

TestedDevice device_under_test() { return {.device = tests::register_far_device()}; }

}  // namespace fedstill
