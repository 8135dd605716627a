#pragma once

#include <optional>
#include <string>

#include "aggregation/soft_labels.h"
#include "data/images.h"
#include "model/graph.h"
#include "training/fit.h"

namespace fedstill {

// 15 epochs of Adam at 1e-3 with a cosine schedule, as FedDF distills.
FitOptions default_distillation_fit();

struct DistillOptions {
  std::string student = "cnn3";  // an architecture of the zoo…
  std::optional<Graph> start;  // …unless this student goes on: its values are where the fit begins
  std::string loss = "kl";     // of distillation_loss_names()
  double temperature = 1.0;    // of the student's softmax, for "kl"
  std::int64_t batch = 128;
  Augmentation augmentation;
  bool bf16 = false;
  at::Device device = at::kCPU;
  std::uint64_t seed = 0;                       // of everything random; fit.seed is not read
  FitOptions fit = default_distillation_fit();  // with several ranks each gets its part of a batch
};

struct Distilled {
  Graph student;
  FitReport report;
};

// Fits a student to the soft labels [N, C] of the pool; the student is that of the last
// epoch. The same arguments and thread count give the same bits, resumed from a checkpoint or not.
// Throws std::invalid_argument on soft labels that are not one finite non-negative row per image,
// and what fit() throws.
Distilled distill(const UnlabeledPool& pool, const at::Tensor& soft_labels,
                  const Normalisation& normalisation, const DistillOptions& options);

}  // namespace fedstill
