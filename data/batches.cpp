#include "data/batches.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "data/augment.h"
#include "model/random.h"

namespace fedstill {
namespace {

[[noreturn]] void refuse_batch(const std::string& what) {
  throw std::invalid_argument("[batches] " + what);
}

void check(const ImageView& images, std::span<const std::int64_t> rows,
           const Normalisation& normalisation, std::span<const float> out) {
  const auto channels = static_cast<std::size_t>(images.images->shape.channels);
  if (normalisation.mean.size() != channels || normalisation.deviation.size() != channels) {
    refuse_batch("found a normalisation of " + std::to_string(normalisation.mean.size()) +
                 " channels, expected " + std::to_string(channels));
  }
  if (!std::ranges::all_of(normalisation.deviation, [](float value) { return value > 0.0F; })) {
    refuse_batch("found a deviation that is not positive");
  }
  const std::size_t floats =
      rows.size() * static_cast<std::size_t>(images.images->pixels_per_image());
  if (out.size() != floats) {
    refuse_batch("found room for " + std::to_string(out.size()) + " floats, expected " +
                 std::to_string(floats));
  }
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= images.count()) {
      refuse_batch("found row " + std::to_string(row) + ", expected less than " +
                   std::to_string(images.count()));
    }
  }
}

// Where the floats of one image lie: channel c, pixel i at c · channel + i · pixel.
struct Layout {
  std::size_t channel, pixel;
};

Layout layout_of(const ImageShape& shape, bool channels_last) {
  if (channels_last) return {1, static_cast<std::size_t>(shape.channels)};
  return {static_cast<std::size_t>(shape.height * shape.width), 1};
}

// The build forbids fusing the subtraction and the product.
void normalise(std::span<const PixelMap> affines, std::span<const std::uint8_t> image,
               const Layout& layout, std::span<float> out) {
  const std::size_t plane = image.size() / affines.size();
  for (std::size_t c = 0; c < affines.size(); ++c) {
    const auto [mean, scale] = affines[c];
    const std::uint8_t* const from = image.data() + c * plane;
    float* const to = out.data() + c * layout.channel;
    // Two loops, for only the first can be vectorised.
    if (layout.pixel == 1) {
      for (std::size_t i = 0; i < plane; ++i) to[i] = (static_cast<float>(from[i]) - mean) * scale;
    } else {
      for (std::size_t i = 0; i < plane; ++i) {
        to[i * layout.pixel] = (static_cast<float>(from[i]) - mean) * scale;
      }
    }
  }
}

// Rows are all over memory, too far apart for the processor to guess the next.
void prefetch(std::span<const std::uint8_t> image) {
  constexpr std::size_t kCacheLine = 64;
  for (std::size_t i = 0; i < image.size(); i += kCacheLine) __builtin_prefetch(&image[i]);
}

// Zero is the mean after normalisation.
void erase(const Rectangle& part, const ImageShape& shape, const Layout& layout,
           std::span<float> out) {
  for (std::int64_t y = part.top; y < part.bottom; ++y) {
    for (std::int64_t x = part.left; x < part.right; ++x) {
      const auto pixel = static_cast<std::size_t>(y * shape.width + x);
      for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c) {
        out[c * layout.channel + pixel * layout.pixel] = 0.0F;
      }
    }
  }
}

}  // namespace

std::vector<PixelMap> pixel_maps(const Normalisation& normalisation) {
  std::vector<PixelMap> maps;
  for (std::size_t c = 0; c < normalisation.mean.size(); ++c) {
    maps.push_back({255.0F * normalisation.mean[c], 1.0F / (255.0F * normalisation.deviation[c])});
  }
  return maps;
}

void gather(const ImageView& images, std::span<const std::int64_t> rows,
            const Normalisation& normalisation, std::span<float> out, bool channels_last,
            const Augmentation& augmentation, std::uint64_t key, std::size_t first) {
  check(images, rows, normalisation, out);
  const ImageShape& shape = images.images->shape;
  const std::vector<PixelMap> affines = pixel_maps(normalisation);
  const Layout layout = layout_of(shape, channels_last);
  const auto size = static_cast<std::size_t>(images.images->pixels_per_image());
  std::vector<std::uint8_t> moved(augmentation.any() ? size : 0);
  for (std::size_t position = 0; position < rows.size(); ++position) {
    const auto image = images.image(rows[position]);
    if (position + 1 < rows.size()) prefetch(images.image(rows[position + 1]));
    const auto to = out.subspan(position * size, size);
    if (!augmentation.any()) {
      normalise(affines, image, layout, to);
      continue;
    }
    const Change change = draw_change(augmentation, shape, derive_key(key, first + position));
    move_pixels(change, shape, image, moved);
    normalise(affines, moved, layout, to);
    erase(change.erased, shape, layout, to);
  }
}

EpochShuffle::EpochShuffle(std::int64_t count, std::int64_t batch, std::uint64_t seed)
    : count_(count), batch_(batch), steps_(1), seed_(seed) {
  if (count < 1 || batch < 1) {
    refuse_batch("found " + std::to_string(count) + " rows in batches of " + std::to_string(batch) +
                 ", expected both positive");
  }
  steps_ = std::max<std::int64_t>(1, count / batch);
  order_.resize(static_cast<std::size_t>(count));
}

std::span<const std::int64_t> EpochShuffle::rows(std::int64_t epoch, std::int64_t step) {
  if (epoch < 0 || step < 0 || step >= steps_) {
    refuse_batch("found epoch " + std::to_string(epoch) + ", step " + std::to_string(step) +
                 ", expected a step below " + std::to_string(steps_));
  }
  if (epoch != epoch_) {
    // Always from the identity, or an epoch would depend on those drawn before it.
    std::iota(order_.begin(), order_.end(), 0);
    shuffle(order_, derive_key(seed_, epoch));
    epoch_ = epoch;
  }
  const auto size = static_cast<std::size_t>(std::min(batch_, count_));
  return std::span<const std::int64_t>(order_).subspan(static_cast<std::size_t>(step) * size, size);
}

}  // namespace fedstill
