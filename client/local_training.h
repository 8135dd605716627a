#pragma once

#include <memory>
#include <string>

#include "data/images.h"
#include "data/lesson.h"
#include "training/fit.h"

namespace fedstill {

struct LocalOptions {
  std::string architecture = "cnn3";
  std::shared_ptr<const Graph> start = {};  // goes on from this instead of a fresh one of that
  std::int64_t epochs = 10;
  std::int64_t minimum_steps = 200;
  std::int64_t batch = 64;
  double learning_rate = 0.05;  // SGD, momentum .9, cosine with warm-up
  std::int64_t warm_up_steps = 50;
  double weight_decay = 1e-4;
  double clip_norm = 2.0;
  Augmentation augmentation;
  bool bf16 = false;
  at::Device device = at::kCPU;
  std::uint64_t seed = 0;
};

struct LocalResult {
  Graph model;
  FitReport report;
};

// Trains a zoo model, or options.start, on the client's own images. run gives stop, on_event and
// checkpoint; the rest of it comes from the options. The same shard, options and thread count give
// the same bits. Throws DataError for an empty shard, a label out of range or a start that takes
// other images or knows other classes, std::invalid_argument for an architecture that is unknown or
// too deep for the images, and what fit() throws. One class is enough.
LocalResult train_locally(const Shard& shard, std::int64_t classes,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const FitOptions& run = {});

// What keeps a client from forgetting, beside the cross-entropy on its own images.
struct PoolLoss {
  double weight = 1.0;      // of the divergence from the soft labels on images of the pool
  std::int64_t batch = 64;  // images of the pool in every step, beside the own ones
};

// In the rounds after the first: goes on from the last round's student with two losses in every
// step, cross-entropy on the own images and weight · KL(soft labels ‖ model) on images of the pool.
// options.architecture and start are not read. Everything else is as with train_locally(); a lesson
// of another pool or other images is std::invalid_argument.
LocalResult train_further(const Lesson& lesson, const Shard& shard, const ImageView& pool,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const PoolLoss& second, const FitOptions& run = {});

}  // namespace fedstill
