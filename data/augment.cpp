#include "data/augment.h"

#include <algorithm>
#include <cmath>

#include "model/random.h"

namespace fedstill {
namespace {

// Counters of the draws of one image.
enum AugmentDraw : std::uint64_t { kDown, kRight, kFlip, kErase, kRectangle };

// Zhong et al. 2020, with smaller areas; a rectangle that does not fit is drawn again.
constexpr double kLeastArea = 0.02;
constexpr double kMostArea = 0.20;
constexpr double kLeastAspect = 0.3;
constexpr double kMostAspect = 1.0 / 0.3;
constexpr int kRectangleAttempts = 10;

double between(double low, double high, std::uint64_t key, std::uint64_t counter) {
  return low + (high - low) * random_uniform(key, counter);
}

std::int64_t place(std::int64_t room, std::uint64_t key, std::uint64_t counter) {
  return static_cast<std::int64_t>(
      random_below(key, counter, static_cast<std::uint64_t>(room) + 1));
}

Rectangle draw_rectangle(const ImageShape& shape, std::uint64_t key) {
  const auto pixels = static_cast<double>(shape.height * shape.width);
  std::uint64_t counter = kRectangle;
  for (int attempt = 0; attempt < kRectangleAttempts; ++attempt, counter += 4) {
    const double area = pixels * between(kLeastArea, kMostArea, key, counter);
    const double aspect = between(kLeastAspect, kMostAspect, key, counter + 1);
    const std::int64_t height = std::lround(std::sqrt(area * aspect));
    const std::int64_t width = std::lround(std::sqrt(area / aspect));
    if (height < 1 || width < 1 || height > shape.height || width > shape.width) continue;
    const std::int64_t top = place(shape.height - height, key, counter + 2);
    const std::int64_t left = place(shape.width - width, key, counter + 3);
    return {top, left, top + height, left + width};
  }
  return {};
}

void move_row(const Change& change, std::span<const std::uint8_t> in, std::span<std::uint8_t> out) {
  const auto width = static_cast<std::int64_t>(in.size());
  const std::int64_t begin = std::clamp<std::int64_t>(-change.right, 0, width);
  const std::int64_t end = std::clamp<std::int64_t>(width - change.right, begin, width);
  std::fill(out.begin(), out.begin() + begin, std::uint8_t{0});
  std::copy(in.begin() + begin + change.right, in.begin() + end + change.right,
            out.begin() + begin);
  std::fill(out.begin() + end, out.end(), std::uint8_t{0});
  if (change.flip) std::ranges::reverse(out);
}

}  // namespace

Change draw_change(const Augmentation& augmentation, const ImageShape& shape, std::uint64_t key) {
  Change change;
  const std::int64_t padding = augmentation.crop_padding;
  if (padding > 0) {
    change.down = place(2 * padding, key, kDown) - padding;
    change.right = place(2 * padding, key, kRight) - padding;
  }
  change.flip = augmentation.flip && random_uniform(key, kFlip) < 0.5;
  if (random_uniform(key, kErase) < static_cast<double>(augmentation.erase)) {
    change.erased = draw_rectangle(shape, key);
  }
  return change;
}

void move_pixels(const Change& change, const ImageShape& shape, std::span<const std::uint8_t> in,
                 std::span<std::uint8_t> out) {
  const auto width = static_cast<std::size_t>(shape.width);
  for (std::int64_t c = 0; c < shape.channels; ++c) {
    for (std::int64_t y = 0; y < shape.height; ++y) {
      const auto to = static_cast<std::size_t>(c * shape.height + y) * width;
      const std::int64_t from_y = y + change.down;
      if (from_y < 0 || from_y >= shape.height) {
        std::ranges::fill(out.subspan(to, width), std::uint8_t{0});
        continue;
      }
      const auto from = static_cast<std::size_t>(c * shape.height + from_y) * width;
      move_row(change, in.subspan(from, width), out.subspan(to, width));
    }
  }
}

}  // namespace fedstill
