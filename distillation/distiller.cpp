#include "distillation/distiller.h"

#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <stdexcept>

#include "distillation/losses.h"
#include "model/random.h"
#include "model/zoo.h"
#include "training/batch_source.h"
#include "training/executor.h"

namespace fedstill {
namespace {

// What the one seed is spent on; each gets a key of its own.
enum class Use : std::uint64_t { kWeights, kBatches, kDropout };

void check(const UnlabeledPool& pool, const at::Tensor& soft_labels) {
  if (!soft_labels.defined() || soft_labels.dim() != 2 || soft_labels.scalar_type() != at::kFloat) {
    throw std::invalid_argument("[distiller] expected soft labels [N, C] in float32");
  }
  if (soft_labels.size(0) != pool.images.count() || soft_labels.size(0) == 0) {
    throw std::invalid_argument("[distiller] " + std::to_string(soft_labels.size(0)) +
                                " soft labels for " + std::to_string(pool.images.count()) +
                                " images");
  }
  const at::Tensor dense = soft_labels.contiguous();
  const std::span values(dense.const_data_ptr<float>(), static_cast<std::size_t>(dense.numel()));
  for (const float value : values) {
    if (!std::isfinite(value) || value < 0.0F) {
      throw std::invalid_argument("[distiller] soft label " + std::to_string(value) +
                                  " is not a probability");
    }
  }
}

}  // namespace

FitOptions default_distillation_fit() {
  FitOptions fit;
  fit.epochs = 15;
  fit.optimizer.name = "adam";
  fit.optimizer.learning_rate = 1e-3;
  return fit;
}

Distilled distill(const UnlabeledPool& pool, const at::Tensor& soft_labels,
                  const Normalisation& normalisation, const DistillOptions& options) {
  check(pool, soft_labels);
  const Loss loss = make_distillation_loss(options.loss, options.temperature);
  const Graph begin =
      options.start ? *options.start
                    : make_model(options.student, pool.images.images->shape, soft_labels.size(1),
                                 derive_key(options.seed, Use::kWeights));
  Executor executor(begin, {.channels_last = true, .bf16 = options.bf16, .device = options.device});
  const auto batches = make_batches(pool.images, soft_labels,
                                    {.batch = options.batch,
                                     .normalisation = normalisation,
                                     .augmentation = options.augmentation,
                                     .seed = derive_key(options.seed, Use::kBatches),
                                     .part = options.fit.parallel.rank(),
                                     .parts = options.fit.parallel.ranks(),
                                     .device = options.device});
  FitOptions fit_options = options.fit;
  fit_options.seed = derive_key(options.seed, Use::kDropout);
  const std::array wanted{begin.output("logits")};
  FitReport report = fit(executor, wanted, *batches, loss, fit_options);
  return {.student = executor.snapshot(), .report = std::move(report)};
}

}  // namespace fedstill
