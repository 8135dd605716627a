#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/images.h"

namespace fedstill {

// Per-channel affine map from [0, 255] to network input: (pixel / 255 − mean) / deviation. A public
// constant of the job, never measured on private data by the coordinator.
struct Normalisation {
  std::vector<float> mean;       // [C]
  std::vector<float> deviation;  // [C]
  bool operator==(const Normalisation&) const = default;
};
// Network input = (pixel − mean) · scale of its channel, in grey levels. One subtraction and one
// product, each rounded, give the same bits on every machine.
struct PixelMap {
  float mean, scale;
};
std::vector<PixelMap> pixel_maps(const Normalisation& normalisation);  // [C]
// Of the unlabeled pool; the same bits on every machine. A deviation is never below one grey level.
// Throws std::invalid_argument if there are no images.
Normalisation measure_normalisation(const ImageView& images);

// Random changes of a training image; none by default. Drawn from (key, position in the batch), so
// a batch is a pure function of its key.
struct Augmentation {
  int crop_padding = 0;  // zero-pads by this much and crops back at a random offset
  bool flip = false;     // left-right with probability one half
  float erase =
      0.0F;  // probability of blanking a random rectangle of 2–20 % of the area (Zhong et al. 2020)
  bool any() const { return crop_padding > 0 || flip || erase > 0.0F; }
  bool operator==(const Augmentation&) const = default;
};

// Writes images[rows] normalised to out, [rows, C, H, W] or, if channels_last, [rows, H, W, C].
// Rows count within the view; `first` is the place of the first of them in its batch. Throws
// std::invalid_argument if out.size() != rows.size() × pixels per image, a row is outside the view,
// or the normalisation does not fit the channels.
void gather(const ImageView& images, std::span<const std::int64_t> rows,
            const Normalisation& normalisation, std::span<float> out, bool channels_last = false,
            const Augmentation& augmentation = {}, std::uint64_t key = 0, std::size_t first = 0);

// The rows of the given batch of an epoch: a counter-based permutation of [0, count) per epoch, cut
// into batches. The last partial batch is dropped unless it is the only one. Throws
// std::invalid_argument if count or batch is not positive. The span that rows() returns is valid
// until it is called for another epoch; one object per thread.
class EpochShuffle {
 public:
  EpochShuffle(std::int64_t count, std::int64_t batch, std::uint64_t seed);
  std::int64_t steps() const { return steps_; }  // per epoch, ≥ 1
  std::span<const std::int64_t> rows(std::int64_t epoch, std::int64_t step);

 private:
  std::int64_t count_, batch_, steps_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

}  // namespace fedstill
