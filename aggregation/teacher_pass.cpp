#include "aggregation/teacher_pass.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/model_file.h"
#include "model/sha256.h"
#include "training/device.h"
#include "training/fit.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr float kNoOpinion = 0.5F;  // confidence of a model without a head

std::string origin(std::int64_t client) {
  return "[teacher pass] client " + std::to_string(client);
}

void require(bool holds, std::int64_t client, const std::string& what) {
  if (!holds) throw DecodeError(origin(client) + ": " + what);
}

SampleShape sample_shape(const ImageView& images) {
  const ImageShape& shape = images.images->shape;
  return {shape.channels, shape.height, shape.width};
}

// One scalar per sample, with or without a dimension of its own.
bool is_scalar(const SampleShape& shape) { return shape.empty() || shape == SampleShape{1}; }

void check_graph(const Graph& graph, const SampleShape& images, std::int64_t classes,
                 std::int64_t client) {
  const auto shapes = infer_shapes(graph);
  const auto shape_of = [&](const char* output) {
    return shapes[static_cast<std::size_t>(graph.output(output))];
  };
  require(graph.input_shape() == images, client, "the model's input is not the images' shape");
  require(graph.outputs.contains("logits"), client, "the model has no output \"logits\"");
  require(shape_of("logits") == SampleShape{classes}, client,
          "logits: expected " + std::to_string(classes) + " per image");
  if (graph.outputs.contains("confidence")) {
    require(is_scalar(shape_of("confidence")), client, "confidence: expected one per image");
  }
}

Graph read_teacher(const Teacher& teacher, const TeacherPassOptions& options, std::int64_t client) {
  const auto bytes = read_file(teacher.model, options.max_model_bytes);
  const std::string hash = sha256_hex(bytes);
  require(hash == teacher.hash, client,
          teacher.model.string() + " has hash " + hash + ", expected " + teacher.hash);
  try {
    return decode_model(bytes);
  } catch (const DecodeError& error) {
    throw DecodeError(origin(client) + ": " + error.what());
  }
}

TeacherAnswer read_predictions(const Teacher& teacher, std::int64_t client, const ImageView& images,
                               std::int64_t classes) {
  const PredictionsShape& shape = *teacher.predictions;
  require(shape.samples == images.count() && shape.classes == classes, client,
          "predictions of other images");
  require(sha256_hex_of_file(teacher.model) == teacher.hash, client,
          teacher.model.string() + " no longer has hash " + teacher.hash);
  const PoolPredictions said = read_predictions_file(teacher.model, shape);
  return {.logits = at::tensor(said.logits).reshape({shape.samples, shape.classes}),
          .confidences = at::tensor(said.confidences)};
}

void check_stop(const TeacherPassOptions& options, bool failed = false) {
  const bool asked = options.stop != nullptr && options.stop->load();
  if (asked || failed) throw Stopped("[teacher pass] stopped; finished clients are kept");
}

TeacherAnswer predict_both(const Teacher& teacher, std::int64_t client, const ImageView& images,
                           std::int64_t classes, const Normalisation& normalisation,
                           const TeacherPassOptions& options) {
  const Graph graph = read_teacher(teacher, options, client);
  check_graph(graph, sample_shape(images), classes, client);
  std::vector<std::string> outputs{"logits"};
  if (graph.outputs.contains("confidence")) outputs.emplace_back("confidence");
  const auto tell = [&](std::int64_t done) {
    check_stop(options);
    if (options.on_progress) options.on_progress(client, done);
  };
  const auto values = predict(graph, outputs, images, normalisation,
                              {.block = options.block, .on_block = tell, .device = options.device});
  const std::int64_t count = images.count();
  return {.logits = values[0],
          .confidences = values.size() > 1 ? values[1].reshape({count})
                                           : at::full({count}, kNoOpinion, at::kFloat)};
}

// The workers of one pass: each takes the next client that is not done, until there is none, one
// failed, or the pass was asked to stop.
class Pass {
 public:
  Pass(std::span<const Teacher> teachers, const ImageView& images,
       const Normalisation& normalisation, const TeacherPassOptions& options,
       PredictionCache& cache)
      : teachers_(teachers),
        images_(images),
        normalisation_(normalisation),
        options_(options),
        cache_(cache) {}

  void run() {
    const int threads_before = at::get_num_threads();
    {
      std::vector<std::jthread> workers;
      workers.reserve(static_cast<std::size_t>(options_.workers));
      for (int i = 0; i < options_.workers; ++i) workers.emplace_back([this] { work(); });
    }
    set_thread_count(threads_before);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() {
    try {
      set_thread_count(1);
      const DeviceStream stream(options_.device);
      for (std::int64_t client = next_++; client < cache_.clients(); client = next_++) {
        if (!cache_.done(client)) evaluate(client);
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void evaluate(std::int64_t client) {
    check_not_stopped();
    TeacherPassOptions options = options_;
    options.on_progress = [this](std::int64_t who, std::int64_t images) { progress(who, images); };
    TeacherAnswer answer = ask_teacher(teachers_[static_cast<std::size_t>(client)], client, images_,
                                       cache_.key().classes, normalisation_, options);
    if (const std::string replaced = clean(answer); !replaced.empty()) {
      const std::scoped_lock lock(mutex_);
      if (options_.on_warning) options_.on_warning(client, replaced);
    }
    cache_.write(client, answer.logits, answer.confidences);
  }

  void progress(std::int64_t client, std::int64_t images) {
    check_not_stopped();
    const std::scoped_lock lock(mutex_);
    if (options_.on_progress) options_.on_progress(client, images);
  }

  void check_not_stopped() const { check_stop(options_, failed_); }

  std::span<const Teacher> teachers_;
  const ImageView& images_;
  const Normalisation& normalisation_;
  const TeacherPassOptions& options_;
  PredictionCache& cache_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;            // callbacks and failure_
  std::exception_ptr failure_;  // the first
};

}  // namespace

PredictionCache open_prediction_cache(std::span<const Teacher> teachers, const ImageView& images,
                                      std::string images_hash, std::int64_t classes,
                                      const std::filesystem::path& cache) {
  CacheKey key;
  key.images = std::move(images_hash);
  key.samples = images.count();
  key.classes = classes;
  for (const Teacher& teacher : teachers) {
    key.models.push_back(teacher.hash);
    key.sample_counts.push_back(teacher.sample_count);
  }
  return PredictionCache::open_or_create(cache, key);
}

TeacherAnswer ask_teacher(const Teacher& teacher, std::int64_t client, const ImageView& images,
                          std::int64_t classes, const Normalisation& normalisation,
                          const TeacherPassOptions& options) {
  TeacherAnswer answer =
      teacher.predictions ? read_predictions(teacher, client, images, classes)
                          : predict_both(teacher, client, images, classes, normalisation, options);
  if (teacher.predictions && options.on_progress) options.on_progress(client, images.count());
  answer.logits = answer.logits.contiguous();
  answer.confidences = answer.confidences.contiguous();
  return answer;
}

std::string clean(TeacherAnswer& predictions) {
  const auto rows = static_cast<std::size_t>(predictions.logits.size(0));
  const auto classes = static_cast<std::size_t>(predictions.logits.size(1));
  float* logits = predictions.logits.mutable_data_ptr<float>();
  float* confidences = predictions.confidences.mutable_data_ptr<float>();
  std::size_t not_finite = 0, outside = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::span row(logits + i * classes, classes);
    float& confidence = confidences[i];
    if (!std::isfinite(confidence) ||
        !std::ranges::all_of(row, [](float z) { return std::isfinite(z); })) {
      std::ranges::fill(row, 0.0F);
      confidence = 0.0F;
      ++not_finite;
    }
    if (confidence < 0.0F || confidence > 1.0F) ++outside;
    confidence = std::clamp(confidence, 0.0F, 1.0F);
  }
  if (not_finite + outside == 0) return {};
  return "of " + std::to_string(rows) + " predictions " + std::to_string(not_finite) +
         " were not finite (replaced by no opinion) and " + std::to_string(outside) +
         " had a confidence outside [0, 1] (clamped)";
}

PredictionCache teacher_pass(std::span<const Teacher> teachers, const ImageView& images,
                             std::string images_hash, std::int64_t classes,
                             const Normalisation& normalisation, const std::filesystem::path& cache,
                             const TeacherPassOptions& options) {
  if (teachers.empty() || images.count() == 0 || options.workers < 1 || options.block < 1) {
    throw std::invalid_argument("[teacher pass] " + std::to_string(teachers.size()) +
                                " teachers, " + std::to_string(images.count()) + " images, " +
                                std::to_string(options.workers) + " workers, block " +
                                std::to_string(options.block) + ": expected at least one of each");
  }
  PredictionCache predictions =
      open_prediction_cache(teachers, images, std::move(images_hash), classes, cache);
  Pass(teachers, images, normalisation, options, predictions).run();
  return predictions;
}

}  // namespace fedstill
