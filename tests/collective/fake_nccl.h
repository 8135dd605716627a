#pragma once

#include <atomic>

#include "collective/nccl/api.h"

// NCCL and CUDA without a GPU: "devices" are threads and device memory is host memory. A unique id
// names a world whose ranks reduce over a `local` group, asynchronously, when an event is queried.
namespace fedstill::fake_nccl {

// How the next communicators misbehave. Reset by api().
struct Faults {
  std::atomic<int> devices = 8;
  std::atomic<int> refuse_init_of_rank = -1;  // ncclCommInitRankConfig returns an error
  std::atomic<bool> init_never_completes = false;
  std::atomic<bool> operations_never_complete = false;
  std::atomic<int> async_error = 0;  // what ncclCommGetAsyncError reports after init
};
Faults& faults();

struct Counts {
  int aborted = 0, destroyed = 0, living_events = 0, living_streams = 0;
  int looks = 0;  // by ncclCommGetAsyncError
};
Counts counts();

nccl::Api api();  // with no faults and all counts at zero

}  // namespace fedstill::fake_nccl
