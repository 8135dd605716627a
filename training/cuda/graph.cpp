// Never run yet: no machine with a GPU was at hand (docs/gpu.md).
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <exception>
#include <mutex>
#include <optional>

#include "training/cuda/module.h"

namespace fedstill::cuda {
namespace {

namespace device_memory = c10::cuda::CUDACachingAllocator;

// A capture marks the device's default generator, which all threads share; so does a graph's end.
std::mutex& one_capture_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

class OneGraph : public at::cuda::CUDAGraph {
 public:
  bool keeps_pool() const { return capture_ended_; }  // its end gives the pool back
};

class CudaGraph : public DeviceGraph {
 public:
  ~CudaGraph() override {
    const std::lock_guard lock(one_capture_at_a_time());
    graph_.reset();
    if (pool_ == c10::MempoolId_t{}) return;                // which would be all that is cached
    attempt([this] { device_memory::emptyCache(pool_); });  // LibTorch would keep it for no one
  }

  // Other threads may train on the device meanwhile, so only what this one does must be recordable.
  void record(const std::function<void()>& work) override {
    const std::lock_guard lock(one_capture_at_a_time());
    pool_ = at::cuda::graph_pool_handle();
    const std::exception_ptr failure = attempt([&] {
      graph_->capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      work();
    });
    const std::exception_ptr end = attempt([this] { graph_->capture_end(); });
    if (!failure && !end) return;
    undo();
    std::rethrow_exception(failure ? failure : end);
  }

  void replay() override { graph_->replay(); }

 private:
  template <typename Step>
  static std::exception_ptr attempt(const Step& step) {
    try {
      step();
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  // A capture that failed may leave the allocators of the device's and of pinned memory serving it;
  // what it did not come to is refused.
  void undo() const {
    const auto device = [] { return c10::cuda::current_device(); };
    const auto pinned = [] { return at::getHostAllocator(at::kCUDA); };
    attempt([&] { device_memory::endAllocateToPool(device(), pool_); });
    attempt([&] { pinned()->end_allocate_to_pool(pool_); });
    if (graph_->keeps_pool()) return;
    attempt([&] { device_memory::releasePool(device(), pool_); });
    attempt([&] { pinned()->release_pool(pool_); });
  }

  c10::MempoolId_t pool_{};
  std::optional<OneGraph> graph_{std::in_place};
};

}  // namespace
}  // namespace fedstill::cuda

extern "C" fedstill::DeviceGraph* fedstill_make_cuda_graph_1() {
  return new fedstill::cuda::CudaGraph();
}
