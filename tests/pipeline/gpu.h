#pragma once

#include "training/device.h"

namespace fedstill::tests {

inline bool has_gpu() {
  try {
    open_device("cuda");
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

}  // namespace fedstill::tests
