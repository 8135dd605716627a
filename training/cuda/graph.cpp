// Never run yet: no machine with a GPU was at hand (docs/gpu.md).
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <exception>
#include <mutex>

#include "training/cuda/module.h"

namespace fedstill::cuda {
namespace {

// A capture marks the device's default generator, which all threads share.
std::mutex& one_capture_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

class CudaGraph : public DeviceGraph {
 public:
  // Other threads may train on the device meanwhile, so only what this one does must be recordable.
  void record(const std::function<void()>& work) override {
    const std::lock_guard lock(one_capture_at_a_time());
    const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    try {
      graph_.capture_end();
    } catch (...) {
      leave(pool);
      if (!failure) failure = std::current_exception();
    }
    if (failure) std::rethrow_exception(failure);
  }

  void replay() override { graph_.replay(); }

 private:
  // A capture that cannot be ended may leave the allocator serving it.
  static void leave(const c10::MempoolId_t& pool) {
    const c10::DeviceIndex device = c10::cuda::current_device();
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device, pool);
      c10::cuda::CUDACachingAllocator::releasePool(device, pool);
    } catch (const c10::Error&) {
      // It had left already.
    }
  }

  at::cuda::CUDAGraph graph_;
};

}  // namespace
}  // namespace fedstill::cuda

extern "C" fedstill::DeviceGraph* fedstill_make_cuda_graph_1() {
  return new fedstill::cuda::CudaGraph();
}
