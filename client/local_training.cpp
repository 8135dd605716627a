#include "client/local_training.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/one_hot.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "client/paired_batches.h"
#include "data/data_error.h"
#include "model/random.h"
#include "training/losses.h"

namespace fedstill {
namespace {

// What the seeds of one client are derived for; persisted in results, never renumber.
enum class Draw : std::uint64_t { kWeights = 1, kBatches = 2, kDropout = 3, kPoolBatches = 4 };

void check(const Shard& shard, std::int64_t classes) {
  if (shard.images.count() == 0) throw DataError("[client] the shard is empty");
  if (shard.labels.size() != shard.images.indices.size()) {
    throw std::invalid_argument("[client] " + std::to_string(shard.labels.size()) +
                                " labels, expected " + std::to_string(shard.images.count()));
  }
  for (const std::int32_t label : shard.labels) {
    if (label < 0 || label >= classes) {
      throw DataError("[client] label: found " + std::to_string(label) + ", expected 0 to " +
                      std::to_string(classes - 1));
    }
  }
}

const Graph& checked(const Graph& start, const ImageShape& image, std::int64_t classes) {
  const SampleShape input{image.channels, image.height, image.width}, logits{classes};
  if (start.input_shape() != input) {
    throw DataError("[client] the model takes images of " + shape_text(start.input_shape()) +
                    ", expected " + shape_text(input));
  }
  const int output = start.output("logits");
  const SampleShape found = infer_shapes(start).at(static_cast<std::size_t>(output));
  if (found == logits) return start;
  throw DataError("[client] the model's logits are " + shape_text(found) + ", expected " +
                  shape_text(logits));
}

// Returns the number of classes.
std::int64_t check(const Lesson& lesson, const ImageView& pool) {
  const auto& shape = lesson.soft_labels.shape();
  if (shape.size() == 2 && shape[0] == pool.count() && shape[1] > 0) return shape[1];
  throw std::invalid_argument("[client] soft labels " + shape_text(shape) + " for a pool of " +
                              std::to_string(pool.count()) + " images");
}

at::Tensor rows_of(const Tensor& labels) {
  at::Tensor rows = at::empty(labels.shape(), at::kFloat);
  std::ranges::copy(labels.values<float>(), rows.mutable_data_ptr<float>());
  return rows;
}

ExecutorOptions executor_options(const LocalOptions& options) {
  ExecutorOptions out;
  out.bf16 = options.bf16;
  out.device = options.device;
  return out;
}

BatchOptions batch_options(const LocalOptions& options, const Normalisation& normalisation,
                           Draw draw) {
  BatchOptions batches;
  batches.batch = options.batch;
  batches.normalisation = normalisation;
  batches.augmentation = options.augmentation;
  batches.device = options.device;
  batches.seed = derive_key(options.seed, draw);
  return batches;
}

FitOptions fit_options(const LocalOptions& options, const FitOptions& run) {
  FitOptions fit = run;
  fit.epochs = options.epochs;
  fit.minimum_steps = options.minimum_steps;
  fit.optimizer = {};
  fit.optimizer.name = "sgd";
  fit.optimizer.learning_rate = options.learning_rate;
  fit.optimizer.weight_decay = options.weight_decay;
  fit.schedule = {};
  fit.schedule.name = "cosine";
  fit.schedule.warm_up_steps = options.warm_up_steps;
  fit.clip_norm = options.clip_norm;
  fit.seed = derive_key(options.seed, Draw::kDropout);
  return fit;
}

}  // namespace

LocalResult train_locally(const Shard& shard, std::int64_t classes,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const FitOptions& run) {
  check(shard, classes);
  const ImageShape image = shard.images.images->shape;
  const Graph graph = options.start ? checked(*options.start, image, classes)
                                    : make_model(options.architecture, image, classes,
                                                 derive_key(options.seed, Draw::kWeights));
  Executor executor(graph, executor_options(options));
  const auto source = make_batches(shard.images, to_tensor(shard.labels),
                                   batch_options(options, normalisation, Draw::kBatches));
  const std::array wanted{graph.output("logits")};
  FitReport report = fit(executor, wanted, *source, cross_entropy(), fit_options(options, run));
  return {executor.snapshot(), std::move(report)};
}

LocalResult train_further(const Lesson& lesson, const Shard& shard, const ImageView& pool,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const PoolLoss& second, const FitOptions& run) {
  const std::int64_t classes = check(lesson, pool);
  check(shard, classes);
  Executor executor(lesson.student, executor_options(options));

  BatchOptions of_pool = batch_options(options, normalisation, Draw::kPoolBatches);
  of_pool.batch = second.batch;
  const at::Tensor truth = at::one_hot(to_tensor(shard.labels), classes).to(at::kFloat);
  const auto source = make_paired_batches(
      make_batches(shard.images, truth, batch_options(options, normalisation, Draw::kBatches)),
      make_batches(pool, rows_of(lesson.soft_labels), of_pool));
  const std::int64_t own = std::min(options.batch, shard.images.count());
  const Loss both = [own, weight = second.weight](std::span<const at::Tensor> outputs,
                                                  const at::Tensor& targets) {
    const at::Tensor rows = divergence(outputs[0].to(at::kFloat), targets, 1.0);
    return rows.narrow(0, 0, own).mean() + rows.narrow(0, own, rows.size(0) - own).mean() * weight;
  };

  const std::array wanted{lesson.student.output("logits")};
  FitReport report = fit(executor, wanted, *source, both, fit_options(options, run));
  return {executor.snapshot(), std::move(report)};
}

}  // namespace fedstill
