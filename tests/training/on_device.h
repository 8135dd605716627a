#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>

#include "collective/collective.h"

namespace fedstill {

// What an executable of the suite brings: one device each, since it must be there before anything
// else of LibTorch is used.
struct TestedDevice {
  at::Device device = at::kCPU;
  std::string absence{};  // why there is none, or nothing
  bool records = false;   // it has graphs
  // A group of these ranks over the device's memory; empty: it has none.
  std::function<std::unique_ptr<Collective>(Collective& ranks)> group{};
};
TestedDevice device_under_test();

}  // namespace fedstill
