#include "tests/training/far/far_device.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <sys/mman.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace fedstill::tests {
namespace {

constexpr auto kFar = c10::DeviceType::PrivateUse1;

std::atomic<std::int64_t> looks{0}, streams{0}, free_bytes{std::int64_t{1} << 30};

// Far addresses and the bytes that stand for them.
class Memory {
 public:
  void* allocate(std::size_t bytes) {
    const std::size_t size = std::max<std::size_t>(bytes, 1);
    void* const far = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (far == MAP_FAILED) throw std::bad_alloc();
    const std::lock_guard lock(mutex_);
    blocks_[far] = {std::malloc(size), size};
    used_ += static_cast<std::int64_t>(size);
    most_ = std::max(most_, used_);
    return far;
  }
  void free(void* far) {
    const std::lock_guard lock(mutex_);
    const auto block = blocks_.find(far);
    std::free(block->second.near);
    ::munmap(far, block->second.size);
    used_ -= static_cast<std::int64_t>(block->second.size);
    blocks_.erase(block);
  }
  void* near(void* far) {
    const std::lock_guard lock(mutex_);
    return blocks_.at(far).near;
  }
  std::int64_t take_most() {
    const std::lock_guard lock(mutex_);
    return std::exchange(most_, used_) - used_;
  }

 private:
  struct Block {
    void* near;
    std::size_t size;
  };
  std::mutex mutex_;
  std::map<void*, Block> blocks_;
  std::int64_t used_ = 0, most_ = 0;  // bytes
};

Memory& memory() {
  static Memory all;
  return all;
}

class FarAllocator : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const far = memory().allocate(bytes);
    return {far, far, [](void* block) { memory().free(block); }, at::Device(kFar, 0)};
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return [](void* block) { memory().free(block); };
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(memory().near(to), memory().near(const_cast<void*>(from)), bytes);
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return {}; }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
  std::pair<std::size_t, std::size_t> getMemoryInfo(c10::DeviceIndex) override {
    return {static_cast<std::size_t>(free_bytes.load()), std::size_t{1} << 30};
  }
};

FarAllocator& allocator() {
  static FarAllocator one;
  return one;
}

// The same memory as a tensor of the cpu.
at::Tensor near(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() != kFar) return tensor;
  void* const base = memory().near(tensor.storage().mutable_data());
  const auto bytes = static_cast<std::int64_t>(tensor.storage().nbytes());
  return at::from_blob(base, {bytes / static_cast<std::int64_t>(tensor.itemsize())},
                       tensor.options().device(at::kCPU))
      .as_strided(tensor.sizes(), tensor.strides(), tensor.storage_offset());
}

at::Tensor far(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(at::Device(kFar, 0)) : tensor;
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> type,
                 std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator(),
                                   c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                   type.value_or(at::kFloat), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> type, std::optional<at::Layout>,
                         std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator(),
                                           c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
                                           type.value_or(at::kFloat));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  near(to).copy_(near(from));
  return to;
}

// What was in it is lost: only results of operators that are about to be written are resized.
const at::Tensor& resize(const at::Tensor& tensor, at::IntArrayRef size,
                         std::optional<at::MemoryFormat>) {
  const std::size_t bytes = at::detail::computeStorageNbytesContiguous(size, tensor.itemsize());
  if (tensor.storage().nbytes() < bytes) {
    tensor.storage().set_data_ptr_noswap(allocator().allocate(bytes));
    tensor.storage().set_nbytes(bytes);
  }
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(size);
  return tensor;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, false);
}

at::Scalar local_scalar(const at::Tensor& tensor) {
  ++looks;
  return near(tensor).item();
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, std::int64_t groups) {
  return far(at::convolution(near(input), near(weight),
                             bias && bias->defined() ? std::optional(near(*bias)) : std::nullopt,
                             stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> mask) {
  const std::array<std::int64_t, 1> bias{weight.size(0)};
  const auto [x, w, b] =
      at::convolution_backward(near(gradient), near(input), near(weight), at::IntArrayRef(bias),
                               stride, padding, dilation, transposed, output_padding, groups, mask);
  return {far(x), far(w), far(b)};
}

// Its schema hides that it writes the running statistics.
std::tuple<at::Tensor, at::Tensor, at::Tensor> native_batch_norm(
    const at::Tensor& input, const std::optional<at::Tensor>& weight,
    const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& mean,
    const std::optional<at::Tensor>& variance, bool training, double momentum, double epsilon) {
  const auto [out, a, b] =
      at::native_batch_norm(near(input), near(*weight), near(*bias), near(*mean), near(*variance),
                            training, momentum, epsilon);
  return {far(out), far(a), far(b)};
}

struct FarGuard final : c10::impl::DeviceGuardImplInterface {
  static inline thread_local c10::StreamId stream = 0;

  c10::DeviceType type() const override { return kFar; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return {kFar, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream_of(stream); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override {
    return stream_of(1 + streams++ % 32);
  }
  c10::Stream exchangeStream(c10::Stream next) const override {
    return stream_of(std::exchange(stream, next.id()));
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {
    *event = &streams;
  }
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}

 private:
  static c10::Stream stream_of(c10::StreamId id) {
    return c10::Stream(c10::Stream::UNSAFE, c10::Device(kFar, 0), id);
  }
};

struct FarHooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  at::Generator getNewGenerator(c10::DeviceIndex) const override {
    return at::make_generator<at::CPUGeneratorImpl>();
  }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
};

void on_copies(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  at::native::cpu_fallback(op, stack);
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_copies>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("resize_", resize);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
  m.impl("native_batch_norm", native_batch_norm);
}

C10_REGISTER_GUARD_IMPL(PrivateUse1, FarGuard)

}  // namespace

at::Device register_far_device() {
  static FarHooks hooks;
  static const bool once = [] {
    c10::register_privateuse1_backend("far");
    c10::SetAllocator(kFar, &allocator());
    at::RegisterPrivateUse1HooksInterface(&hooks);
    return true;
  }();
  static_cast<void>(once);
  return {kFar, 0};
}

void set_far_memory(std::int64_t bytes) { free_bytes = bytes; }

std::int64_t far_looks() { return looks; }

std::int64_t take_far_peak() { return memory().take_most(); }

}  // namespace fedstill::tests
