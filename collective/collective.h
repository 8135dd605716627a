#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "collective/elements.h"

namespace fedstill {

// The ranks may disagree from here on (one died, was late beyond the deadline, or called something
// else): give up the job and go on from the last checkpoint. Every later call of the group throws
// too.
class CollectiveError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Reduction { kSum, kMax, kMin };

// What one rank asks of its group.
struct Operation {
  enum class Kind { kAllReduce, kReduceScatter, kAllGather, kBroadcast, kBarrier };
  Kind kind = Kind::kBarrier;
  ConstElements input;  // equal to `output` where the operation works in place
  Elements output;
  Reduction reduction = Reduction::kSum;
  int root = 0;
};
std::string describe(const Operation& operation);      // "all_reduce(sum) of 128 float32"
bool matches(const Operation& a, const Operation& b);  // may two ranks ask these of one group?

struct CollectiveOptions {
  // A wait that sees no progress for this long fails. Time in which the process is stopped does not
  // count with `mpi` and `nccl`.
  std::chrono::milliseconds deadline{600'000};
};

// What a backend returns for an operation that has begun.
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;  // until done; throws CollectiveError
  virtual bool
  is_done() = 0;  // makes what progress it can without blocking; throws CollectiveError
};

// The handle of an operation under way; empty when there is nothing to wait for. Until wait() has
// returned or is_done() was true, the operation's memory may be neither touched nor freed. A handle
// dropped before that gives up the whole group: the operation cannot be completed any more.
class Pending {
 public:
  Pending() = default;
  explicit Pending(std::unique_ptr<Work> work) : work_(std::move(work)) {}
  void wait();  // throws CollectiveError; later calls return at once
  bool is_done();

 private:
  std::unique_ptr<Work> work_;
};

// The ranks of one job acting as one. Every rank calls the same operations in the same order, each
// with its own memory; several may be under way at once, and they complete in that order. Ranks may
// use several groups in different orders, but those of `nccl` in the same one: there the first
// operation of a group waits for all ranks, and later ones may keep others from the device.
// `output` may be this rank's block of the longer side (reduce_scatter, all_gather), else they are
// disjoint. Reductions add in rank order (bfloat16 in float32, rounded once), so all ranks get the
// same bits in every run and with every host backend; nccl promises the first only. A NaN of any
// rank wins every reduction, but NCCL's max and min drop it: do not ask them of floats there. A
// group of one rank is valid and copies at most. `local` and `mpi` work on host memory, `nccl` on
// device memory. Throws std::invalid_argument for views that do not fit each other. One thread at a
// time uses a Collective and its handles, which must be gone before it is.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  Pending all_reduce(Elements data, Reduction reduction = Reduction::kSum);
  // output = this rank's block of the reduced input. Requires: input.count == size() *
  // output.count.
  Pending reduce_scatter(ConstElements input, Elements output,
                         Reduction reduction = Reduction::kSum);
  // output = the inputs of all ranks, in rank order. Requires: output.count == size() *
  // input.count.
  Pending all_gather(ConstElements input, Elements output);
  Pending broadcast(Elements data, int root);
  Pending barrier();  // done when every rank has called it

 private:
  // Begins an operation that was checked. Also called in groups of one.
  virtual Pending start(const Operation& operation) = 0;
};

}  // namespace fedstill
