#include "client/local_training.h"

#include <array>
#include <stdexcept>

#include "data/data_error.h"
#include "model/random.h"
#include "training/losses.h"

namespace fedstill {
namespace {

// What the seeds of one client are derived for; persisted in results, never renumber.
enum class Draw : std::uint64_t { kWeights = 1, kBatches = 2, kDropout = 3 };

std::uint64_t key_for(std::uint64_t seed, Draw draw) {
  return derive_key(seed, static_cast<std::uint64_t>(draw));
}

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
  fit.seed = key_for(options.seed, Draw::kDropout);
  return fit;
}

}  // namespace

LocalResult train_locally(const Shard& shard, std::int64_t classes,
                          const Normalisation& normalisation, const LocalOptions& options,
                          const FitOptions& run) {
  check(shard, classes);
  const Graph graph = make_model(options.architecture, shard.images.images->shape, classes,
                                 key_for(options.seed, Draw::kWeights));
  ExecutorOptions executor_options;
  executor_options.bf16 = options.bf16;
  Executor executor(graph, executor_options);

  BatchOptions batches;
  batches.batch = options.batch;
  batches.normalisation = normalisation;
  batches.augmentation = options.augmentation;
  batches.seed = key_for(options.seed, Draw::kBatches);
  batches.channels_last = executor_options.channels_last;
  const auto source = make_batches(shard.images, to_tensor(shard.labels), batches);

  const std::array wanted{graph.output("logits")};
  FitReport report = fit(executor, wanted, *source, cross_entropy(), fit_options(options, run));
  return {executor.snapshot(), std::move(report)};
}

}  // namespace fedstill
