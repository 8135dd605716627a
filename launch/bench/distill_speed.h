#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "collective/collective.h"

namespace fedstill {

// Data-parallel distillation of random images (28 × 28, ten classes) with random soft labels, one
// thread a rank. The batch is that of all ranks together.
struct DistillWork {
  std::string student = "resnet8";
  std::int64_t images = 6144, batch = 128;
  bool overlap = true;  // reduce gradients while backward computes the others
};

// Images per second in the second of two epochs, of the whole group; null: alone. Every rank calls
// it. Throws what distill() throws, Stopped when stop is set.
double distill_speed(const DistillWork& work, Collective* group, const std::atomic<bool>& stop);

// On so many threads of this process, together or each alone with its part of the batch: then the
// sum of their speeds is what this machine gives jobs that know nothing of each other.
double distill_speed_of_threads(const DistillWork& work, int ranks, const std::atomic<bool>& stop);
double distill_speed_apart(const DistillWork& work, int ranks, const std::atomic<bool>& stop);

}  // namespace fedstill
