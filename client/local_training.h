#pragma once

#include <string>

#include "data/images.h"
#include "training/fit.h"

namespace fedstill {

struct LocalOptions {
  std::string architecture = "cnn3";
  std::int64_t epochs = 10;
  std::int64_t minimum_steps = 200;
  std::int64_t batch = 64;
  double learning_rate = 0.05;  // SGD, momentum .9, cosine with warm-up
  std::int64_t warm_up_steps = 50;
  double weight_decay = 1e-4;
  double clip_norm = 2.0;
  Augmentation augmentation;
  bool bf16 = false;
  std::uint64_t seed = 0;
};

struct LocalResult {
  Graph model;
  FitReport report;
};

// Trains a zoo model on the client's own images. Throws DataError for an empty shard.
LocalResult train_locally(const Shard& shard, std::int64_t classes,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const FitOptions& run = {});

}  // namespace fedstill
