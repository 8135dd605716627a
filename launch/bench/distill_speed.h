#pragma once

#include <c10/core/Device.h>

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
  std::int64_t epochs = 2;
  at::Device device = at::kCPU;  // and the group's memory
  bool record = true;            // on a device: replay the step
  bool bf16 = false;
};

// Images per second in all epochs but the first, of the whole group; null: alone. Every rank calls
// it. Throws what distill() throws, Stopped when stop is set, and DeviceError where a step was to
// be recorded and could not.
double distill_speed(const DistillWork& work, Collective* group, const std::atomic<bool>& stop);

// On so many threads of this process, together or each alone with its part of the batch: then the
// sum of their speeds is what this machine gives jobs that know nothing of each other.
double distill_speed_of_threads(const DistillWork& work, int ranks, const std::atomic<bool>& stop);
double distill_speed_apart(const DistillWork& work, int ranks, const std::atomic<bool>& stop);

// Images per second of asking the student as a teacher is asked, after one pass to warm up.
double predict_speed(const DistillWork& work);

}  // namespace fedstill
