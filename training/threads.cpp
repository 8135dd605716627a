#include "training/threads.h"

#include <ATen/Parallel.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <stdexcept>
#include <string>

namespace fedstill {

void set_thread_count(int count) {
  if (count < 1) {
    throw std::invalid_argument("[threads] count is " + std::to_string(count) + ", expected > 0");
  }
  at::set_num_threads(count);
}

void tune_allocator() {
#ifdef __GLIBC__
  constexpr int kNever = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kNever);
  mallopt(M_TRIM_THRESHOLD, kNever);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace fedstill
