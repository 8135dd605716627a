#pragma once

#include <string>

#include "aggregation/soft_labels.h"
#include "data/images.h"
#include "training/fit.h"

namespace fedstill {

struct DistillOptions {
  std::string student = "cnn3";  // an architecture of the zoo
  std::string loss = "kl";
  double temperature = 1.0;
  std::int64_t batch = 128;
  Augmentation augmentation;
  bool bf16 = false;
  std::uint64_t seed = 0;
  FitOptions fit;  // epochs, optimizer, schedule, checkpoint, events
};

struct Distilled {
  Graph student;
  FitReport report;
};

// Fits a fresh student to the soft labels of the pool.
Distilled distill(const UnlabeledPool& pool, const at::Tensor& soft_labels,
                  const Normalisation& normalisation, const DistillOptions& options);

}  // namespace fedstill
