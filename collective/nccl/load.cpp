#include <dlfcn.h>

#include "collective/nccl/api.h"

namespace fedstill::nccl {
namespace {

void* open(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) throw CollectiveError(std::string("[nccl] ") + dlerror());
  return handle;
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw CollectiveError(std::string("[nccl] the library has no ") + name);
}

void find_nccl(void* library, Api& api) {
  find(library, "ncclGetErrorString", api.ncclGetErrorString);
  find(library, "ncclGetUniqueId", api.ncclGetUniqueId);
  find(library, "ncclCommInitRankConfig", api.ncclCommInitRankConfig);
  find(library, "ncclCommGetAsyncError", api.ncclCommGetAsyncError);
  find(library, "ncclCommFinalize", api.ncclCommFinalize);
  find(library, "ncclCommDestroy", api.ncclCommDestroy);
  find(library, "ncclCommAbort", api.ncclCommAbort);
  find(library, "ncclAllReduce", api.ncclAllReduce);
  find(library, "ncclReduceScatter", api.ncclReduceScatter);
  find(library, "ncclAllGather", api.ncclAllGather);
  find(library, "ncclBroadcast", api.ncclBroadcast);
}

void find_cuda(void* library, Api& api) {
  find(library, "cudaGetErrorString", api.cudaGetErrorString);
  find(library, "cudaGetDeviceCount", api.cudaGetDeviceCount);
  find(library, "cudaSetDevice", api.cudaSetDevice);
  find(library, "cudaMalloc", api.cudaMalloc);
  find(library, "cudaFree", api.cudaFree);
  find(library, "cudaStreamCreateWithFlags", api.cudaStreamCreateWithFlags);
  find(library, "cudaStreamDestroy", api.cudaStreamDestroy);
  find(library, "cudaStreamWaitEvent", api.cudaStreamWaitEvent);
  find(library, "cudaEventCreateWithFlags", api.cudaEventCreateWithFlags);
  find(library, "cudaEventDestroy", api.cudaEventDestroy);
  find(library, "cudaEventRecord", api.cudaEventRecord);
  find(library, "cudaEventQuery", api.cudaEventQuery);
}

}  // namespace

Api load(const Options& options) {
  Api api;
  find_cuda(open(options.cuda_library), api);
  find_nccl(open(options.nccl_library), api);
  return api;
}

bool is_available(const Options& options) {
  try {
    int devices = 0;
    return load(options).cudaGetDeviceCount(&devices) == kSuccess && options.device < devices;
  } catch (const CollectiveError&) {
    return false;
  }
}

}  // namespace fedstill::nccl
