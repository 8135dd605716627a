#include "training/rank_statistics.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

namespace fedstill {

RankStatistics::RankStatistics(std::span<Executor::Parameter> parameters,
                               const DataParallel& parallel)
    : parallel_(parallel) {
  for (const Executor::Parameter& parameter : parameters) {
    if (!parameter.trained) values_.push_back(parameter.value.detach());
  }
  rows_ = mine().unsqueeze(0).repeat({parallel_.ranks(), 1});
}

void RankStatistics::gather() {
  const at::Tensor row = mine();
  parallel_.group->all_gather(elements_of(row), elements_of(rows_)).wait();
}

void RankStatistics::take() {
  const at::NoGradGuard no_grad;
  const at::Tensor row = rows_[parallel_.rank()];
  std::int64_t offset = 0;
  for (const at::Tensor& value : values_) {
    value.copy_(row.narrow(0, offset, value.numel()).view(value.sizes()));
    offset += value.numel();
  }
}

at::Tensor RankStatistics::mine() const {
  std::vector<at::Tensor> flat{
      at::empty({0}, at::TensorOptions(at::kFloat).device(parallel_.wire))};
  for (const at::Tensor& value : values_) {
    flat.push_back(value.contiguous(at::MemoryFormat::Contiguous).view(-1).to(parallel_.wire));
  }
  return at::cat(flat);
}

}  // namespace fedstill
