#include "launch/ranks/join_devices.h"

#include "launch/ranks/say.h"

namespace fedstill {

std::unique_ptr<Collective> join_devices(at::Device device, Collective& distillers,
                                         Progress& progress, nccl::Options options) {
  if (device.is_cpu() || distillers.size() < 2) return nullptr;
  options.device = device.index();
  options.deadline = kRanksPatience;  // as the distillers wait for each other elsewhere
  try {
    return nccl::make(distillers, options);
  } catch (const CollectiveError& error) {
    if (distillers.rank() == 0) {
      progress.message(std::string("warning: gradients go by way of the host: ") + error.what());
    }
    return nullptr;
  }
}

}  // namespace fedstill
