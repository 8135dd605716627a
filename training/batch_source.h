#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "data/batches.h"
#include "data/images.h"

namespace fedstill {

struct Batch {         // or one rank's part of it
  at::Tensor images;   // [B, C, H, W] float32, normalised
  at::Tensor targets;  // [B] int64 labels, [B, C] soft labels or [B] 0/1, as the loss wants
  double share = 1.0;  // of the whole batch
};

// Where a fit takes its batches from. A batch is a pure function of (epoch, step), so a resumed fit
// sees exactly what an uninterrupted one would.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual std::int64_t steps_per_epoch() const = 0;
  virtual Batch batch(std::int64_t epoch, std::int64_t step) = 0;
};

struct BatchOptions {
  std::int64_t batch = 64;
  Normalisation normalisation{};
  Augmentation augmentation{};
  std::uint64_t seed = 0;
  bool channels_last = true;
  int part = 0, parts = 1;  // of every batch, for one rank of several: disjoint, in order, complete
  at::Device device = at::kCPU;  // where the batches are
};

// Images with one target row each: targets [N] or [N, C], in the order of the view. Throws
// std::invalid_argument if a batch has fewer images than parts.
std::unique_ptr<BatchSource> make_batches(ImageView images, at::Tensor targets,
                                          const BatchOptions& options);
// Half of every batch from the positives (target 1), half from the negatives (target 0); an epoch
// walks the larger of the two once. Not cut into parts.
std::unique_ptr<BatchSource> make_balanced_batches(ImageView positives, ImageView negatives,
                                                   const BatchOptions& options);

at::Tensor to_tensor(std::span<const std::int32_t> labels);  // [N] int64

}  // namespace fedstill
