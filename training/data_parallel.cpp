#include "training/data_parallel.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace fedstill {
namespace {

ElementType element_type_of(at::ScalarType type) {
  if (type == at::kBFloat16) return ElementType::kBfloat16;
  return type == at::kLong ? ElementType::kInt64 : ElementType::kFloat32;
}

std::size_t bytes_of(const at::Tensor& value) {
  return static_cast<std::size_t>(value.numel()) * sizeof(float);
}

}  // namespace

Elements elements_of(const at::Tensor& dense) {
  return {dense.mutable_data_ptr(), static_cast<std::size_t>(dense.numel()),
          element_type_of(dense.scalar_type())};
}

class GradientBuckets::Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientBuckets& buckets, std::size_t slot) : buckets_(buckets), slot_(slot) {}
  void operator()(const at::Tensor&) override { buckets_.take(slot_); }

 private:
  GradientBuckets& buckets_;
  std::size_t slot_;
};

GradientBuckets::GradientBuckets(std::span<Executor::Parameter> parameters,
                                 const DataParallel& options)
    : options_(options) {
  for (std::size_t i = parameters.size(); i-- > 0;) {
    if (parameters[i].trained) slots_.emplace_back().value = parameters[i].value;
  }
  std::vector<std::size_t> order;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    order.push_back(i);
    bytes += bytes_of(slots_[i].value);
    if (bytes < options_.bucket_bytes && i + 1 < slots_.size()) continue;
    add_bucket(order);
    order.clear();
    bytes = 0;
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(slots_[i].value,
                                                   std::make_unique<Hook>(*this, i));
  }
}

GradientBuckets::~GradientBuckets() {
  for (const Slot& slot : slots_) {
    torch::autograd::impl::set_post_acc_grad_hooks(slot.value, nullptr);
  }
}

void GradientBuckets::add_bucket(std::span<const std::size_t> order) {
  std::int64_t size = 0;
  for (const std::size_t i : order) size += slots_[i].value.numel();
  Bucket& bucket = buckets_.emplace_back();
  const at::Device device = slots_[order.front()].value.device();
  bucket.flat = at::zeros({size}, at::TensorOptions(at::kFloat).device(device));
  const bool stays = !options_.bf16 && device == options_.wire;
  const auto type = at::TensorOptions(options_.bf16 ? at::kBFloat16 : at::kFloat);
  bucket.wire =
      stays ? bucket.flat
            : at::empty({size}, type.device(options_.wire).pinned_memory(device != options_.wire));
  bucket.members = order.size();
  std::int64_t offset = 0;
  for (const std::size_t i : order) {
    // The parameter's own strides: the optimizer walks both in memory order.
    const at::Tensor& value = slots_[i].value;
    slots_[i].view = bucket.flat.as_strided(value.sizes(), value.strides(), offset);
    slots_[i].bucket = buckets_.size() - 1;
    offset += value.numel();
  }
}

void GradientBuckets::add() { only_adds_ = true; }

void GradientBuckets::begin(std::span<float> facts) {
  only_adds_ = false;
  next_ = 0;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.members;
  facts_ = facts;
  facts_on_wire_ = at::from_blob(facts.data(), {static_cast<std::int64_t>(facts.size())});
  facts_on_wire_ = facts_on_wire_.to(options_.wire);
  facts_pending_ = options_.group->all_reduce(elements_of(facts_on_wire_));
}

// From the hook: this backward has added to this gradient.
void GradientBuckets::take(std::size_t index) {
  Slot& slot = slots_[index];
  if (!slot.filled) {
    slot.view.copy_(slot.value.grad());
    slot.value.mutable_grad() = slot.view;  // what follows is added in its place
    slot.filled = true;
  }
  if (only_adds_) return;
  --buckets_[slot.bucket].missing;
  if (!options_.overlap) return;
  start_full_buckets();
  if (next_ > 0) buckets_[next_ - 1].pending.is_done();  // lets the backend make progress
}

void GradientBuckets::start_full_buckets() {
  while (next_ < buckets_.size() && buckets_[next_].missing == 0) start(buckets_[next_++]);
}

void GradientBuckets::start(Bucket& bucket) {
  if (!bucket.wire.is_same(bucket.flat)) bucket.wire.copy_(bucket.flat);
  bucket.pending = options_.group->all_reduce(elements_of(bucket.wire));
}

void GradientBuckets::finish() {
  const at::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    if (!slot.filled) slot.view.zero_();  // nothing flowed there in this step, on any rank
    slot.filled = false;
  }
  for (; next_ < buckets_.size(); ++next_) start(buckets_[next_]);
  facts_pending_.wait();
  if (!options_.wire.is_cpu()) {
    at::from_blob(facts_.data(), facts_on_wire_.sizes()).copy_(facts_on_wire_);
  }
  for (Bucket& bucket : buckets_) {
    bucket.pending.wait();
    if (!bucket.wire.is_same(bucket.flat)) bucket.flat.copy_(bucket.wire, /*non_blocking=*/true);
  }
}

void average_statistics(std::span<Executor::Parameter> parameters, const DataParallel& parallel) {
  const at::NoGradGuard no_grad;
  for (const Executor::Parameter& parameter : parameters) {
    if (parameter.trained) continue;
    const at::Tensor sum = parameter.value.contiguous().to(parallel.wire, false, /*copy=*/true);
    parallel.group->all_reduce(elements_of(sum)).wait();
    parameter.value.copy_(sum.div_(parallel.group->size()));
  }
}

void broadcast(std::span<const at::Tensor> tensors, const DataParallel& parallel) {
  const at::NoGradGuard no_grad;
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor dense = tensor.detach()
                                 .contiguous(at::MemoryFormat::Contiguous)
                                 .to(parallel.wire, false, /*copy=*/true);
    parallel.group->broadcast(elements_of(dense), 0).wait();
    tensor.detach().copy_(dense);
  }
}

}  // namespace fedstill
