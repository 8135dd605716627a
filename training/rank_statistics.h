#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "training/data_parallel.h"
#include "training/executor.h"

namespace fedstill {

// The running statistics of all ranks, which between two averages are of each rank alone: what a
// checkpoint within an epoch keeps beside what replicas share.
class RankStatistics {
 public:
  // Every rank's row is what this rank begins with. The group must outlive it.
  RankStatistics(std::span<Executor::Parameter> parameters, const DataParallel& parallel);

  const at::Tensor& rows() const { return rows_; }  // [ranks, values] float32, on the wire
  void gather();  // by all ranks: rows() is then what each has. Throws CollectiveError.
  void take();    // this rank has its row

 private:
  at::Tensor mine() const;

  DataParallel parallel_;
  std::vector<at::Tensor> values_;
  at::Tensor rows_;
};

}  // namespace fedstill
