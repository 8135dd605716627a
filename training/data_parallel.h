#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "collective/collective.h"
#include "training/executor.h"

namespace fedstill {

// One fit by several ranks: each holds a replica, computes the gradients of its part of every
// batch, and moves by the mean of all.
struct DataParallel {
  Collective* group = nullptr;  // null: alone
  std::size_t bucket_bytes = std::size_t{1} << 20;
  bool overlap = true;  // a full bucket is on its way while backward computes the others
  bool bf16 = false;    // gradients travel as bfloat16
  // BatchNorm measures over the images of all ranks; else each rank over its own, and the running
  // statistics are averaged after every epoch.
  bool shared_batch_norm = false;
  // Whose memory the group exchanges: the host's, or that of the device it was made for. Gradients
  // of a device that meet a group of the host travel by way of it.
  at::Device wire = at::kCPU;
  bool even_alone = false;  // exchange gradients in a group of one, too: to measure what it costs

  bool exchanges() const { return ranks() > 1 || (even_alone && group != nullptr); }
  int rank() const { return group == nullptr ? 0 : group->rank(); }
  int ranks() const { return group == nullptr ? 1 : group->size(); }
};

// A dense float32, bfloat16 or int64 tensor's memory as what a group exchanges.
Elements elements_of(const at::Tensor& dense);

// The gradients of the trained parameters in flat buckets, from the last parameter to the first as
// backward finds them; a parameter's gradient is a view into its bucket. All ranks start the
// buckets' reductions in this one order, whatever the order their gradients come in (Li et al.
// 2020, "PyTorch Distributed").
class GradientBuckets {
 public:
  // Parameters and group must outlive it. It hooks into the parameters' gradients.
  GradientBuckets(std::span<Executor::Parameter> parameters, const DataParallel& options);
  ~GradientBuckets();
  GradientBuckets(const GradientBuckets&) = delete;
  GradientBuckets& operator=(const GradientBuckets&) = delete;

  // Before a backward whose gradients are only added up, for a later one of the same step.
  void add();
  // Before the last backward of a step; the facts, a few numbers of this step, ride along and are
  // summed too.
  void begin(std::span<float> facts);
  // After that: every gradient, and every fact, is the sum over the ranks. Throws CollectiveError.
  void finish();

 private:
  class Hook;
  struct Bucket {
    at::Tensor flat, wire;  // wire: what travels, flat itself or a copy in bfloat16, on the host
    std::size_t members = 0, missing = 0;
    Pending pending;
  };
  struct Slot {
    at::Tensor value, view;  // the parameter, its gradient's place
    std::size_t bucket = 0;
    bool filled = false;  // by a backward of this step
  };

  void add_bucket(std::span<const std::size_t> order);
  void take(std::size_t slot);
  void start_full_buckets();
  void start(Bucket& bucket);

  DataParallel options_;
  std::vector<Slot> slots_;
  std::vector<Bucket> buckets_;
  std::size_t next_ = 0;  // bucket to start
  std::span<float> facts_;
  at::Tensor facts_on_wire_;
  Pending facts_pending_;
  bool only_adds_ = false;
};

// Means over the ranks of what each measured for itself: the parameters that no gradient moves.
void average_statistics(std::span<Executor::Parameter> parameters, const DataParallel& parallel);
// All ranks get rank 0's values.
void broadcast(std::span<const at::Tensor> tensors, const DataParallel& parallel);

}  // namespace fedstill
