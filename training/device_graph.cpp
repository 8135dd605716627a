#include "training/device_graph.h"

#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <string>

#include "training/cuda/module.h"
#include "training/device.h"

namespace fedstill {
namespace {

// Installed or moved, the module lies beside the program; in the build folder it is where CMake put
// it.
std::string beside_program() {
  Dl_info found{};
  if (::dladdr(reinterpret_cast<const void*>(&beside_program), &found) == 0) return "";
  const std::string program = found.dli_fname;
  const std::size_t slash = program.rfind('/');
  return slash == std::string::npos ? "" : program.substr(0, slash + 1) + cuda::kModuleFile;
}

void* open_module() {
  void* module = nullptr;
  for (const std::string& file : {beside_program(), std::string(FEDSTILL_CUDA_MODULE)}) {
    if (module == nullptr && !file.empty()) module = ::dlopen(file.c_str(), RTLD_NOW);
  }
  if (module != nullptr) return module;
  throw DeviceError(std::string("[device] the module for CUDA graphs cannot be loaded: ") +
                    ::dlerror());
}

}  // namespace

std::unique_ptr<DeviceGraph> make_device_graph(at::Device device) {
  if (!device.is_cuda()) throw DeviceError("[device] " + device_text(device) + " has no graphs");
  void* const make = ::dlsym(open_module(), cuda::kMakeGraph);
  if (make == nullptr) {
    throw DeviceError(std::string("[device] the module for CUDA graphs has no ") +
                      cuda::kMakeGraph);
  }
  try {
    return std::unique_ptr<DeviceGraph>(reinterpret_cast<cuda::MakeGraph*>(make)());
  } catch (const c10::Error& error) {
    throw DeviceError(std::string("[device] ") + error.what_without_backtrace());
  }
}

}  // namespace fedstill
