#include "stand_ins.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <gmock/gmock.h>

#include <utility>

namespace fedstill::cuda_stand_ins {
namespace {

using c10::DeviceIndex;
using c10::MempoolId_t;
namespace caching = c10::CachingDeviceAllocator;
namespace cuda = c10::cuda::CUDACachingAllocator;

void fail_at(Fault fault) { TORCH_CHECK(state().fault != fault, "the stand-in fails"); }

class DeviceAllocator : public cuda::CUDAAllocator {
 public:
  void endAllocateToPool(DeviceIndex, MempoolId_t pool) override { state().device.end(pool); }
  void releasePool(DeviceIndex, MempoolId_t pool) override { state().device.release(pool); }
  void emptyCache(MempoolId_t pool) override {
    if (pool == MempoolId_t{}) state().emptied_everything = true;
    state().device.empty(pool);
  }
  // Nobody calls the others.
  using Handle = std::shared_ptr<void>;
  using Filter = std::function<bool(cudaStream_t)>;
  using Saved = std::shared_ptr<cuda::AllocatorState>;
  using Size = std::pair<size_t, size_t>;
  MOCK_METHOD(c10::DataPtr, allocate, (size_t), (override));
  MOCK_METHOD(void, copy_data, (void*, const void*, std::size_t), (const, override));
  MOCK_METHOD(bool, initialized, (), (override));
  MOCK_METHOD(caching::DeviceStats, getDeviceStats, (DeviceIndex), (override));
  MOCK_METHOD(void, resetAccumulatedStats, (DeviceIndex), (override));
  MOCK_METHOD(void, resetPeakStats, (DeviceIndex), (override));
  MOCK_METHOD(Size, getMemoryInfo, (DeviceIndex), (override));
  MOCK_METHOD(void*, raw_alloc, (size_t), (override));
  MOCK_METHOD(void*, raw_alloc_with_stream, (size_t, cudaStream_t), (override));
  MOCK_METHOD(void, raw_delete, (void*), (override));
  MOCK_METHOD(void, init, (int), (override));
  MOCK_METHOD(double, getMemoryFraction, (DeviceIndex), (override));
  MOCK_METHOD(void, setMemoryFraction, (double, DeviceIndex), (override));
  MOCK_METHOD(std::vector<cuda::StreamSegmentSize>, getExpandableSegmentSizes, (DeviceIndex),
              (override));
  MOCK_METHOD(void, enable, (bool), (override));
  MOCK_METHOD(bool, isEnabled, (), (const, override));
  MOCK_METHOD(void, cacheInfo, (DeviceIndex, size_t*), (override));
  MOCK_METHOD(void*, getBaseAllocation, (void*, size_t*), (override));
  void recordStream(const c10::DataPtr&, c10::cuda::CUDAStream) override {}
  MOCK_METHOD(void, recordStream, (const c10::DataPtr&, c10::Stream), (override));
  MOCK_METHOD(cuda::SnapshotInfo, snapshot, (MempoolId_t, bool), (override));
  MOCK_METHOD(void, beginAllocateToPool, (DeviceIndex, MempoolId_t, Filter), (override));
  MOCK_METHOD(cuda::ShareableHandle, shareIpcHandle, (void*), (override));
  MOCK_METHOD(Handle, getIpcDevPtr, (std::string), (override));
  MOCK_METHOD(void, recordHistory,
              (bool, cuda::CreateContextFn, size_t, cuda::RecordContext, bool,
               const std::vector<std::string>&),
              (override));
  MOCK_METHOD(void, attachOutOfMemoryObserver, (cuda::OutOfMemoryObserver), (override));
  MOCK_METHOD(void, attachAllocatorTraceTracker, (cuda::AllocatorTraceTracker), (override));
  MOCK_METHOD(void, enablePeerAccess, (DeviceIndex, DeviceIndex), (override));
  MOCK_METHOD(cudaError_t, memcpyAsync, (void*, int, const void*, int, size_t, cudaStream_t, bool),
              (override));
  MOCK_METHOD(Saved, getCheckpointState, (DeviceIndex, MempoolId_t), (override));
  MOCK_METHOD(cuda::CheckpointDelta, setCheckpointPoolState, (DeviceIndex, Saved), (override));
  MOCK_METHOD(std::string, name, (), (override));
};

class PinnedAllocator : public at::HostAllocator {
 public:
  void end_allocate_to_pool(MempoolId_t pool) override { state().pinned.end(pool); }
  void release_pool(MempoolId_t pool) override { state().pinned.release(pool); }
  MOCK_METHOD(c10::DataPtr, allocate, (size_t), (override));
  MOCK_METHOD(void, copy_data, (void*, const void*, std::size_t), (const, override));
  MOCK_METHOD(bool, record_event, (void*, void*, c10::Stream), (override));
  MOCK_METHOD(void, empty_cache, (), (override));
  MOCK_METHOD(at::HostStats, get_stats, (), (override));
  MOCK_METHOD(void, reset_accumulated_stats, (), (override));
  MOCK_METHOD(void, reset_peak_stats, (), (override));
};

}  // namespace

void Pools::begin(MempoolId_t pool) {
  serving.insert(pool);
  ++users[pool];
}
void Pools::end(MempoolId_t pool) { TORCH_CHECK(serving.erase(pool) == 1, "not recording to it"); }
void Pools::release(MempoolId_t pool) {
  TORCH_CHECK(--users.at(pool) >= 0, "released by more than use it");
}
void Pools::empty(MempoolId_t pool) {
  const auto found = users.find(pool);
  if (found != users.end() && found->second == 0) users.erase(found);
}

State& state() {
  static State instance;
  return instance;
}

void reset() {
  static DeviceAllocator device;
  static PinnedAllocator pinned;
  state() = State();
  cuda::allocator = &device;
  at::setHostAllocator(at::kCUDA, &pinned);
}

}  // namespace fedstill::cuda_stand_ins

namespace c10::cuda {
DeviceIndex current_device() { return 0; }
namespace CUDACachingAllocator {
std::atomic<CUDAAllocator*> allocator;
}  // namespace CUDACachingAllocator
void c10_cuda_check_implementation(const int32_t, const char*, const char*, const uint32_t,
                                   const bool) {}
}  // namespace c10::cuda

extern "C" cudaError_t cudaMemGetInfo(size_t*, size_t*) { return cudaSuccess; }

namespace at::cuda {

using fedstill::cuda_stand_ins::fail_at;
using fedstill::cuda_stand_ins::Fault;
using fedstill::cuda_stand_ins::state;

MempoolId_t graph_pool_handle() {
  static unsigned long long last = 0;
  return {0, ++last};
}

CUDAGraph::CUDAGraph(bool keep)
    : capture_stream_(CUDAStream::UNCHECKED, c10::Stream(c10::Stream::DEFAULT, {at::kCUDA, 0})),
      keep_graph_(keep) {}

CUDAGraph::~CUDAGraph() {
  if (state().is_capturing) state().destroyed_in_a_capture = true;
  if (!capture_ended_) return;
  state().device.release(mempool_id_);
  state().pinned.release(mempool_id_);
}

void CUDAGraph::capture_begin(MempoolId_t pool, cudaStreamCaptureMode) {
  fail_at(Fault::kBegin);
  mempool_id_ = pool;
  state().device.begin(pool);
  fail_at(Fault::kBeginPinned);
  state().pinned.begin(pool);
  fail_at(Fault::kBeginStream);
  state().is_capturing = true;
}

void CUDAGraph::capture_end() {
  TORCH_CHECK(std::exchange(state().is_capturing, false), "no capture");
  fail_at(Fault::kEndStream);
  state().device.end(mempool_id_);
  state().pinned.end(mempool_id_);
  fail_at(Fault::kEmpty);
  capture_ended_ = true;
  fail_at(Fault::kInstantiate);
}

void CUDAGraph::replay() {}

}  // namespace at::cuda
