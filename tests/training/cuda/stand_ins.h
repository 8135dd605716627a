#pragma once

#include <c10/core/Allocator.h>

#include <map>
#include <set>

// What training/cuda/graph.cpp calls of libtorch_cuda and libc10_cuda, without them: graphs that
// record nothing, and allocators that only count who uses which pool.
namespace fedstill::cuda_stand_ins {

// Where the next captures fail; each as early as can be.
enum class Fault { kNone, kBegin, kBeginPinned, kBeginStream, kEndStream, kEmpty, kInstantiate };

// One allocator's, as LibTorch counts: what is not known is refused.
class Pools {
 public:
  void begin(c10::MempoolId_t pool);
  void end(c10::MempoolId_t pool);
  void release(c10::MempoolId_t pool);
  void empty(c10::MempoolId_t pool);  // gives back what nobody uses

  std::set<c10::MempoolId_t> serving;     // captures
  std::map<c10::MempoolId_t, int> users;  // of what is held
};

struct State {
  Fault fault = Fault::kNone;
  Pools device, pinned;
  bool is_capturing = false;
  bool destroyed_in_a_capture = false;
  bool emptied_everything = false;
};
State& state();
void reset();

}  // namespace fedstill::cuda_stand_ins
