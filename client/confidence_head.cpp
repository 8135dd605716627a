#include "client/confidence_head.h"

#include <array>
#include <memory>
#include <stdexcept>
#include <utility>

#include "client/head_batches.h"
#include "data/data_error.h"
#include "model/builder.h"
#include "model/edit.h"
#include "model/random.h"
#include "training/losses.h"
#include "training/predict.h"

namespace fedstill {
namespace {

// What the seeds of one head are derived for; persisted in results, never renumber.
enum class HeadDraw : std::uint64_t { kWeights = 11, kBatches = 12, kDropout = 13 };

// A head before it is attached, and the node whose value is the logit of its confidence.
struct Head {
  Graph graph;
  int logit = 0;
};

Head finish_head(GraphBuilder builder, int hidden, double dropout) {
  const int dropped = builder.dropout(hidden, static_cast<float>(dropout));
  const int logit = builder.linear(dropped, 1);
  const int squashed = builder.unary(logit, Op::kSigmoid);
  const int confidence = builder.reshape(squashed, {});
  return {std::move(builder).finish(confidence, "confidence"), logit};
}

Head make_pixel_head(const SampleShape& image, const HeadOptions& options) {
  GraphBuilder builder("confidence-pixels", image, derive_key(options.seed, HeadDraw::kWeights));
  const int first = builder.conv_bn_relu(0, {.out = 16, .stride = 2});
  const int second = builder.conv_bn_relu(first, {.out = 32, .stride = 2});
  const int flat = builder.unary(second, Op::kFlatten);
  const int hidden = builder.unary(builder.linear(flat, 64), Op::kReLU);
  return finish_head(std::move(builder), hidden, options.dropout);
}

// The features of different architectures differ in scale by orders of magnitude, so the head
// begins by normalising them.
Head make_feature_head(const SampleShape& features, const HeadOptions& options) {
  GraphBuilder builder("confidence-features", features,
                       derive_key(options.seed, HeadDraw::kWeights));
  const int normalised = builder.batch_norm(0);
  const int hidden = builder.unary(builder.linear(normalised, 64), Op::kReLU);
  return finish_head(std::move(builder), hidden, options.dropout);
}

FitReport train(Head& head, std::unique_ptr<BatchSource> source, const HeadOptions& options,
                const FitOptions& run) {
  FitOptions fit_options = run;
  fit_options.epochs = 1;
  fit_options.minimum_steps = 0;
  fit_options.optimizer = {};
  fit_options.optimizer.name = "adam";
  fit_options.optimizer.learning_rate = options.learning_rate;
  fit_options.optimizer.weight_decay = options.weight_decay;
  fit_options.schedule = {};
  fit_options.clip_norm = 0.0;
  fit_options.seed = derive_key(options.seed, HeadDraw::kDropout);
  Executor executor(head.graph, {.device = options.device});
  const auto limited = make_one_epoch(std::move(source), options.steps);
  const std::array wanted{head.logit};
  FitReport report = fit(executor, wanted, *limited, binary_cross_entropy(), fit_options);
  head.graph = executor.snapshot();
  return report;
}

BatchOptions batch_options(const Normalisation& normalisation, const HeadOptions& options) {
  BatchOptions batches;
  batches.batch = options.batch;
  batches.normalisation = normalisation;
  batches.device = options.device;
  batches.seed = derive_key(options.seed, HeadDraw::kBatches);
  return batches;
}

HeadResult train_pixel_head(const Graph& body, std::unique_ptr<BatchSource> source,
                            const HeadOptions& options, const FitOptions& run) {
  Head head = make_pixel_head(body.input_shape(), options);
  FitReport report = train(head, std::move(source), options, run);
  return {attach(body, 0, head.graph, "confidence", "confidence"), std::move(report)};
}

// The body never changes, so its features are computed once and not in every step.
at::Tensor features_of(const Graph& body, int node, const ImageView& images,
                       const Normalisation& normalisation, at::Device device) {
  Graph graph = body;
  graph.outputs = {{"features", node}};
  const std::array<std::string, 1> wanted{"features"};
  return predict(extract(graph, {"features"}), wanted, images, normalisation, {.device = device})
      .front();
}

HeadResult train_feature_head(const Graph& body, const ImageView& own, const ImageView& pool,
                              const Normalisation& normalisation, const HeadOptions& options,
                              const FitOptions& run) {
  const int at = penultimate_node(body);
  const SampleShape shape = infer_shapes(body)[static_cast<std::size_t>(at)];
  Head head = make_feature_head(shape, options);
  auto source = make_balanced_rows(features_of(body, at, own, normalisation, options.device),
                                   features_of(body, at, pool, normalisation, options.device),
                                   options.batch, derive_key(options.seed, HeadDraw::kBatches));
  FitReport report = train(head, std::move(source), options, run);
  return {attach(body, at, head.graph, "confidence", "confidence"), std::move(report)};
}

void check(const HeadOptions& options) {
  if (options.batch < 2 || options.steps < 1 || options.dropout < 0.0 || options.dropout >= 1.0) {
    throw std::invalid_argument("[head] batch " + std::to_string(options.batch) + ", steps " +
                                std::to_string(options.steps) + ", dropout " +
                                std::to_string(options.dropout) +
                                ": expected at least 2, at least 1, 0 to below 1");
  }
}

void check(const ImageView& own, const ImageView& pool) {
  if (own.count() == 0) throw DataError("[head] the shard is empty");
  if (pool.count() == 0) throw DataError("[head] the pool is empty");
  if (own.images->shape != pool.images->shape) {
    throw DataError("[head] the pool's images have another shape than the shard's");
  }
}

void check(const at::Tensor& confidence, const ImageView& images) {
  if (images.count() == 0) throw DataError("[head] there are no images");
  const bool fits = confidence.defined() && confidence.dim() == 1 &&
                    confidence.size(0) == images.count() && confidence.scalar_type() == at::kFloat;
  if (!fits || !confidence.ge(0.0).logical_and(confidence.le(1.0)).all().item<bool>()) {
    throw std::invalid_argument("[head] expected one confidence in [0, 1] for each of " +
                                std::to_string(images.count()) + " images");
  }
}

}  // namespace

HeadResult train_confidence_head(const Graph& body, const ImageView& own, const ImageView& pool,
                                 const Normalisation& normalisation, const HeadOptions& options,
                                 const FitOptions& run) {
  check(own, pool);
  check(options);
  if (options.form == "pixels") {
    auto source = make_balanced_batches(own, pool, batch_options(normalisation, options));
    return train_pixel_head(body, std::move(source), options, run);
  }
  if (options.form == "features") {
    return train_feature_head(body, own, pool, normalisation, options, run);
  }
  throw std::invalid_argument("[head] form '" + options.form +
                              "' is unknown, expected pixels or features");
}

HeadResult distill_confidence_head(const Graph& body, const ImageView& images,
                                   const at::Tensor& confidence, const Normalisation& normalisation,
                                   const HeadOptions& options, const FitOptions& run) {
  check(confidence, images);
  check(options);
  auto source = make_batches(images, confidence, batch_options(normalisation, options));
  return train_pixel_head(body, std::move(source), options, run);
}

}  // namespace fedstill
