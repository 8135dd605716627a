#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aggregation/prediction_cache.h"
#include "data/batches.h"
#include "data/images.h"
#include "data/predictions_file.h"

namespace fedstill {

// One upload on disk, read when its turn comes: at most `workers` teachers are in memory.
struct Teacher {
  std::filesystem::path model;
  std::string hash;
  std::int64_t sample_count = 0;
  // Set where the file holds no model but what it says about these very images.
  std::optional<PredictionsShape> predictions = {};
};

struct TeacherPassOptions {
  int workers = 1;  // teachers evaluated at once, one thread each; the result does not depend on it
  std::int64_t block = 500;
  at::Device device = at::kCPU;  // where the teachers are evaluated
  std::size_t max_model_bytes = std::size_t{4} << 30;
  const std::atomic<bool>* stop = nullptr;
  // Both may come from any worker, one at a time.
  std::function<void(std::int64_t client, std::int64_t images)> on_progress;
  std::function<void(std::int64_t client, const std::string& what)> on_warning;
};

// The cache file of these teachers' answers about these images, with what is in it already.
PredictionCache open_prediction_cache(std::span<const Teacher> teachers, const ImageView& images,
                                      std::string images_hash, std::int64_t classes,
                                      const std::filesystem::path& cache);

// What one teacher says; client is its number in messages.
struct TeacherAnswer {
  at::Tensor logits, confidences;  // [N, C], [N], float32, contiguous
};
TeacherAnswer ask_teacher(const Teacher& teacher, std::int64_t client, const ImageView& images,
                          std::int64_t classes, const Normalisation& normalisation,
                          const TeacherPassOptions& options);
// Makes it what the pass writes into the cache: see there. Returns what had to be replaced, for
// people, or nothing.
std::string clean(TeacherAnswer& answer);

// Evaluates every teacher's "logits" and "confidence" (1/2 everywhere where a model has none) on
// the images, in eval mode, into the cache file. Clients whose part is already there are skipped.
//
// What a model answers cannot end the pass: where a row of its logits or its confidence is not
// finite, both are replaced by zeros (no opinion, least confidence); a confidence outside [0, 1] is
// clamped. on_warning says whose and how many.
//
// Throws DecodeError where a model's bytes, hash, input or outputs are not what was accepted, or a
// predictions file is of other images, naming the client; Stopped when asked to stop (parts that
// are done stay); std::invalid_argument without teachers or images; std::system_error on I/O
// errors.
PredictionCache teacher_pass(std::span<const Teacher> teachers, const ImageView& images,
                             std::string images_hash, std::int64_t classes,
                             const Normalisation& normalisation, const std::filesystem::path& cache,
                             const TeacherPassOptions& options = {});

}  // namespace fedstill
