#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "data/batches.h"
#include "data/images.h"
#include "training/fit.h"

namespace fedstill {

// The classifier h_k(x) = P("my data" | x) against the unlabeled pool, trained on balanced batches;
// an optimal one has h / (1 − h) = p_k(x) / p_pool(x), the density ratio that the aggregation rules
// are built on.
//   pixels    an own small network on the image: two convolutions with BatchNorm, a hidden layer,
//             dropout
//   features  a small network on the client's penultimate features, which stay as they are
struct HeadOptions {
  std::string form = "pixels";
  std::int64_t steps = 600;
  std::int64_t batch = 128;     // half private, half pool
  double learning_rate = 3e-3;  // Adam, cosine
  double weight_decay = 1e-4;
  double dropout = 0.2;
  std::uint64_t seed = 0;
  at::Device device = at::kCPU;
};

// Returns the body with a second output "confidence" [N] in (0, 1) beside "logits", whose values
// are untouched. Throws DataError for an empty shard or pool or images of different shapes,
// std::invalid_argument for an unknown form (listing the known ones) or options out of range.
struct HeadResult {
  Graph graph;
  FitReport report;
};
HeadResult train_confidence_head(const Graph& body, const ImageView& own, const ImageView& pool,
                                 const Normalisation& normalisation, const HeadOptions& options,
                                 const FitOptions& run = {});  // of run: stop, on_event, checkpoint

// A head of the form "pixels" that answers as `confidence` [N] float32 in [0, 1] does on these
// images: what a coordinator knows of many clients' images, as one head. options.form is not read.
// Throws std::invalid_argument where `confidence` is not one such number per image, and as above.
HeadResult distill_confidence_head(const Graph& body, const ImageView& images,
                                   const at::Tensor& confidence, const Normalisation& normalisation,
                                   const HeadOptions& options, const FitOptions& run = {});

}  // namespace fedstill
