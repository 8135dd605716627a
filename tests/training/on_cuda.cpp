#include "collective/nccl/nccl.h"
#include "tests/training/on_device.h"
#include "training/device.h"

namespace fedstill {

TestedDevice device_under_test() {
  TestedDevice tested;
  try {
    tested.device = open_device("cuda");
  } catch (const DeviceError& error) {
    tested.absence = error.what();
  }
  tested.records = true;
  tested.group = [device = tested.device](Collective& ranks) {
    nccl::Options options;
    options.device = device.index();
    return nccl::make(ranks, options);
  };
  return tested;
}

}  // namespace fedstill
