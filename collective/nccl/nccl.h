#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "collective/collective.h"

// Ranks that are GPUs, one each: NCCL 2.28 and the CUDA runtime, loaded when first asked for.
// Nothing of them is needed to build. Views are of device memory.
namespace fedstill::nccl {

struct Options : CollectiveOptions {
  int device = 0;                                    // this rank's; two ranks may not share one
  std::chrono::milliseconds init_deadline{120'000};  // for all ranks to have met
  // A cudaStream_t: operations begin after what was queued on it. Null: the default stream.
  void* compute_stream = nullptr;
  std::string nccl_library =
      "libnccl.so.2";  // as dlopen takes it; what the process has loaded wins
  std::string cuda_library = "libcudart.so.13";
};

// Are both libraries and the device there?
bool is_available(const Options& options = {});

// Every rank of `bootstrap` must call this; the unique id travels over it, and it is not used
// later. If one rank fails, all throw CollectiveError and say which. A thread of its own watches
// the group: an error of NCCL or an operation that is not done by the deadline aborts it, so that
// no kernel spins for a dead rank for ever, and the next call or wait throws.
std::unique_ptr<Collective> make(Collective& bootstrap, const Options& options = {});

}  // namespace fedstill::nccl
