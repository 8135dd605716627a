#include "training/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace fedstill {
namespace {

using c10::impl::VirtualGuardImpl;

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

// LibTorch warns why it finds no device; the reason belongs into the error, not onto the terminal.
class KeptWarning : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { text_ = first_line(warning.msg()); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string cuda_library() {
  Dl_info found{};
  if (::dladdr(reinterpret_cast<const void*>(&at::globalContext), &found) == 0) {
    return "libtorch_cuda.so";
  }
  const std::string cpu = found.dli_fname;
  return cpu.substr(0, cpu.rfind('/') + 1) + "libtorch_cuda.so";
}

void load_cuda(const DeviceOptions& options) {
  const std::string library = options.library.empty() ? cuda_library() : options.library;
  if (::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  throw DeviceError("[device] LibTorch's CUDA library " + library +
                    " cannot be loaded: " + ::dlerror());
}

int count_devices() {
  KeptWarning warning;
  int count = 0;
  {
    const c10::WarningUtils::WarningHandlerGuard keep(&warning);
    if (at::globalContext().hasCUDA()) count = VirtualGuardImpl(at::kCUDA).deviceCount();
  }
  if (count > 0) return count;
  throw DeviceError("[device] found no CUDA device" +
                    (warning.text().empty() ? "" : ": " + warning.text()));
}

// LibTorch hands out its streams in turn, also those in use, and two threads on one stream would
// get into each other's recorded graphs. They are the process's, so this is, too.
class StreamsInUse {
 public:
  c10::Stream take(at::Device device) {
    const std::lock_guard lock(mutex_);
    // LibTorch keeps freed memory for the stream it was used on: few streams need less of it.
    const auto idle = std::ranges::find(idle_, device, &c10::Stream::device);
    if (idle != idle_.end()) {
      const c10::Stream stream = *idle;
      idle_.erase(idle);
      taken_.insert({device.index(), stream.id()});
      return stream;
    }
    for (int i = 0; i < DeviceStream::kMost; ++i) {
      const c10::Stream stream = VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
      if (taken_.insert({device.index(), stream.id()}).second) return stream;
    }
    throw DeviceError("[device] all " + std::to_string(DeviceStream::kMost) + " streams of " +
                      device_text(device) + " are in use");
  }
  void give_back(const c10::Stream& stream) {
    const std::lock_guard lock(mutex_);
    taken_.erase({stream.device_index(), stream.id()});
    idle_.push_back(stream);
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<c10::DeviceIndex, c10::StreamId>> taken_;
  std::vector<c10::Stream> idle_;  // given back
};

StreamsInUse& streams_in_use() {
  static StreamsInUse streams;
  return streams;
}

}  // namespace

DeviceName parse_device(std::string_view name) {
  if (name == "cpu") return {};
  if (name == "cuda") return {.cuda = true};
  constexpr std::string_view kNumbered = "cuda:";
  constexpr int kMostDevices = 64;
  if (name.starts_with(kNumbered)) {
    int index = -1;
    const char* const end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + kNumbered.size(), end, index);
    if (read.ec == std::errc{} && read.ptr == end && index >= 0 && index < kMostDevices) {
      return {.cuda = true, .index = index};
    }
  }
  throw std::invalid_argument("[device] found \"" + std::string(name) +
                              "\", expected cpu, cuda or cuda:N");
}

int device_index(const DeviceName& name, int local_rank, int count) {
  const int index = name.index.value_or(local_rank % count);
  if (index < count) return index;
  throw DeviceError("[device] found " + std::to_string(count) +
                    " CUDA devices, expected cuda:" + std::to_string(index) + " among them");
}

at::Device open_device(std::string_view name, const DeviceOptions& options) {
  const DeviceName wanted = parse_device(name);
  if (!wanted.cuda) return at::kCPU;
  load_cuda(options);
  const int index = device_index(wanted, options.local_rank, count_devices());
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
    VirtualGuardImpl(at::kCUDA).setDevice(device);
  } catch (const c10::Error& error) {
    throw DeviceError("[device] " + device_text(device) +
                      " cannot be used: " + first_line(error.what_without_backtrace()));
  }
  return device;
}

std::string device_text(at::Device device) { return device.is_cpu() ? "cpu" : device.str(); }

std::string device_uuid(at::Device device, const std::string& driver) {
  if (device.is_cpu()) return "";
  void* const cuda = ::dlopen(driver.c_str(), RTLD_NOW);
  if (cuda == nullptr) return "";
  // As cuda.h declares them; a CUuuid is 16 bytes.
  const auto find = reinterpret_cast<int (*)(int*, int)>(::dlsym(cuda, "cuDeviceGet"));
  const auto name = reinterpret_cast<int (*)(char*, int)>(::dlsym(cuda, "cuDeviceGetUuid_v2"));
  int handle = 0;
  std::string uuid(16, '\0');
  const bool is_told = find != nullptr && name != nullptr && find(&handle, device.index()) == 0 &&
                       name(uuid.data(), handle) == 0;
  ::dlclose(cuda);
  return is_told ? uuid : "";
}

DeviceMemory device_memory(at::Device device) {
  const auto [free, total] = at::getDeviceAllocator(device.type())->getMemoryInfo(device.index());
  return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
}

at::Tensor to_device(const at::Tensor& tensor, at::Device device) {
  if (tensor.device() == device) return tensor;
  const bool uploads = tensor.is_cpu();
  return (uploads ? tensor.pin_memory() : tensor).to(device, /*non_blocking=*/uploads);
}

DeviceStream::DeviceStream(at::Device device) {
  if (device.is_cpu()) return;
  const VirtualGuardImpl calls(device.type());
  const c10::Stream before = calls.getStream(device), own = streams_in_use().take(device);
  c10::Event done_before(device.type());
  done_before.record(before);
  done_before.block(own);
  guard_.reset_stream(own);
}

DeviceStream::~DeviceStream() {
  const auto own = guard_.current_stream();
  if (!own) return;
  try {
    own->synchronize();
  } catch (const std::exception&) {
    // A device that failed says so to whoever reads its results.
  }
  guard_.reset();
  streams_in_use().give_back(*own);
}

}  // namespace fedstill
