#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/StreamGuard.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fedstill {

// The device asked for cannot be used here. The message says what was looked for, where, and what
// to do.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct DeviceName {
  bool cuda = false;
  std::optional<int> index = {};  // nothing: the device is chosen by the rank's place
};
// "cpu", "cuda" or "cuda:N". Throws std::invalid_argument, listing these.
DeviceName parse_device(std::string_view name);

// Which of so many that is, for the rank of that place on its machine. Throws DeviceError where
// there are fewer. Requires: a cuda device, count >= 1.
int device_index(const DeviceName& name, int local_rank, int count);

struct DeviceOptions {
  int local_rank = 0;  // of the ranks of this machine; they take its devices in turn
  // What registers the device with LibTorch; empty: libtorch_cuda.so beside libtorch_cpu.so.
  std::string library{};
};
// The device of that name, current for the calling thread. The program links nothing of CUDA:
// LibTorch's part of it is loaded here, so this must come before any other use of LibTorch in the
// process (what it has learned of devices by then, it keeps). Throws DeviceError where the library
// or the device is missing, and std::invalid_argument as parse_device() does.
at::Device open_device(std::string_view name, const DeviceOptions& options = {});

std::string device_text(at::Device device);  // "cpu", "cuda:0"

// What names the device whichever number this process knows it by: the 16 bytes of its UUID, of a
// part of a GPU its own. Empty where the driver does not tell, and of the cpu.
std::string device_uuid(at::Device device, const std::string& driver = "libcuda.so.1");

struct DeviceMemory {
  std::int64_t free = 0, total = 0;  // bytes
};
DeviceMemory device_memory(at::Device device);  // Requires: not the cpu

// The tensor on the device; itself where it is there already. What goes to another device goes by
// way of pinned memory and without waiting.
at::Tensor to_device(const at::Tensor& tensor, at::Device device);

// While it lives, what the calling thread computes on the device is queued apart from what other
// threads do there, and behind what this thread did before; the end waits until all of it is done.
// Does nothing on the cpu. Throws DeviceError when all of LibTorch's streams are taken.
class DeviceStream {
 public:
  static constexpr int kMost = 32;  // that may live at once; LibTorch has no more

  explicit DeviceStream(at::Device device);
  ~DeviceStream();
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

 private:
  c10::OptionalStreamGuard guard_;
};

}  // namespace fedstill
