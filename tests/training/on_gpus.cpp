// The contract of collectives on real GPUs, one a rank: what the suite has on the host goes to the
// device and back. Skipped where there are fewer; with two, both orders of a sum have the same
// bits.
#include <ATen/ops/from_blob.h>

#include <string>
#include <utility>

#include "collective/local/local.h"
#include "collective/nccl/nccl.h"
#include "tests/collective/contract.h"
#include "training/device.h"

namespace fedstill {
namespace {

using Kind = Operation::Kind;

at::Tensor bytes_at(const void* data, std::size_t bytes) {
  return at::from_blob(const_cast<void*>(data), {static_cast<std::int64_t>(bytes)}, at::kByte);
}

// An operation on a copy of its memory, which comes back when it is done.
class StagedWork : public Work {
 public:
  StagedWork(Collective& group, const Operation& operation, at::Device device)
      : host_(operation.output) {
    const auto& [kind, input, output, reduction, root] = operation;
    const auto staged = [&](const ConstElements& elements) {
      return bytes_at(elements.data, elements.bytes())
          .to(device, /*non_blocking=*/false, /*copy=*/true);
    };
    output_ = staged(output);
    const Elements to{output_.mutable_data_ptr(), output.count, output.type};
    const auto from = [&] {
      input_ = staged(input);
      return ConstElements(input_.data_ptr(), input.count, input.type);
    };
    switch (kind) {
      case Kind::kAllReduce:
        pending_ = group.all_reduce(to, reduction);
        break;
      case Kind::kReduceScatter:
        pending_ = group.reduce_scatter(from(), to, reduction);
        break;
      case Kind::kAllGather:
        pending_ = group.all_gather(from(), to);
        break;
      case Kind::kBroadcast:
        pending_ = group.broadcast(to, root);
        break;
      case Kind::kBarrier:
        pending_ = group.barrier();
        break;
    }
  }

  void wait() override {
    pending_.wait();
    bring_back();
  }
  bool is_done() override {
    if (!pending_.is_done()) return false;
    bring_back();
    return true;
  }

 private:
  void bring_back() {
    if (!std::exchange(is_back_, true)) bytes_at(host_.data, host_.bytes()).copy_(output_);
  }

  Elements host_;
  at::Tensor input_, output_;  // on the device
  bool is_back_ = false;
  Pending pending_;
};

class StagedCollective : public Collective {
 public:
  StagedCollective(std::unique_ptr<Collective> group, at::Device device)
      : group_(std::move(group)), device_(device) {}
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }

 private:
  Pending start(const Operation& operation) override {
    return Pending(std::make_unique<StagedWork>(*group_, operation, device_));
  }

  std::unique_ptr<Collective> group_;
  at::Device device_;
};

at::Device gpu(int rank) { return open_device("cuda:" + std::to_string(rank)); }

void run_gpus(int size, int groups, const Body& body) {
  try {
    gpu(size - 1);
  } catch (const DeviceError& error) {
    GTEST_SKIP() << error.what();
  }
  local::run_ranks(size, [&](Collective& bootstrap) {
    const at::Device device = gpu(bootstrap.rank());
    nccl::Options options;
    options.device = device.index();
    std::vector<std::unique_ptr<Collective>> owned;
    std::vector<Collective*> all;
    for (int i = 0; i < groups; ++i) {
      owned.push_back(std::make_unique<StagedCollective>(nccl::make(bootstrap, options), device));
      all.push_back(owned.back().get());
    }
    body(all);
    bootstrap.barrier().wait();  // no rank tears down what another still needs
  });
}

INSTANTIATE_TEST_SUITE_P(Gpus, CollectiveContract,
                         testing::Values(ContractGroup{run_gpus, 1, true, true},
                                         ContractGroup{run_gpus, 2, true, true}),
                         group_name);

}  // namespace
}  // namespace fedstill
