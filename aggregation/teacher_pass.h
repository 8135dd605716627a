#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "data/batches.h"
#include "data/images.h"

namespace fedstill {

// One uploaded model on disk, read when its turn comes: at most `workers` teachers are in memory.
struct Teacher {
  std::filesystem::path model;
  std::string hash;
  std::int64_t sample_count = 0;
};

struct TeacherPassOptions {
  int workers = 1;  // teachers evaluated at once, one thread each
  std::int64_t block = 500;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(std::int64_t client, std::int64_t images)>
      on_progress;  // may come from any worker, one at a time
};

// Evaluates every teacher's "logits" and "confidence" (1/2 everywhere where a model has none) on
// the images, in eval mode, into the cache file.
PredictionCache teacher_pass(std::span<const Teacher> teachers, const ImageView& images,
                             std::string images_hash, std::int64_t classes,
                             const Normalisation& normalisation, const std::filesystem::path& cache,
                             const TeacherPassOptions& options = {});

}  // namespace fedstill
