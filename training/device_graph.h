#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace fedstill {

// Work of a device that is recorded once and then replayed by one call, without the cost of
// starting its hundred small kernels one by one. Every replay works on the memory that the
// recording named. One thread at a time.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // Records what the work queues; nothing of it is run. The work may not wait for the device. The
  // calling thread must be inside a DeviceStream and must have run the same work before. Throws
  // what the device or the work throws; the graph is then to be thrown away, and the thread may go
  // on as if it had not been tried.
  virtual void record(const std::function<void()>& work) = 0;
  virtual void replay() = 0;  // on the current stream. Requires: recorded
};

// Loads the module that knows CUDA's graphs (training/cuda/). Throws DeviceError where that cannot
// be. Requires: the device was opened (training/device.h).
std::unique_ptr<DeviceGraph> make_device_graph(at::Device device);

}  // namespace fedstill
