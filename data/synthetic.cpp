#include "data/synthetic.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "data/data_error.h"
#include "model/random.h"

namespace fedstill {
namespace {

// Every step is in whole numbers, so the bytes are the same everywhere. Weights are in 1/256.
constexpr std::int64_t kGrid = 5;       // corners of a pattern's coarse grid
constexpr std::int64_t kMaxMix = 110;   // of another class: below one half, so the label is true
constexpr std::int64_t kMaxNoise = 48;  // grey levels
constexpr std::int64_t kMaxCount = 10'000'000;
constexpr std::int64_t kMaxClasses = 10'000;
constexpr std::int64_t kMaxSyntheticSide = 1024;
constexpr std::int64_t kMaxSyntheticChannels = 64;

enum SyntheticPurpose : std::uint64_t { kPattern = 1, kTrain = 2, kTest = 3 };
enum Draw : std::uint64_t { kOther, kMix, kContrast, kDown, kRight, kPixelNoise };

std::int64_t draw(std::uint64_t key, std::uint64_t counter, std::int64_t low, std::int64_t high) {
  const auto range = static_cast<std::uint64_t>(high - low + 1);
  return low + static_cast<std::int64_t>(random_below(key, counter, range));
}

// Bilinear between the four corners around (y, x) of a random coarse grid.
std::int64_t pattern_at(std::uint64_t key, std::int64_t y, std::int64_t x,
                        const ImageShape& shape) {
  const std::int64_t down = y * (kGrid - 1) * 256 / shape.height;
  const std::int64_t across = x * (kGrid - 1) * 256 / shape.width;
  const auto corner = [&](std::int64_t i, std::int64_t j) {
    return draw(key, static_cast<std::uint64_t>((down / 256 + i) * kGrid + across / 256 + j), 0,
                255);
  };
  const std::int64_t b = across % 256;
  const std::int64_t above = corner(0, 0) * (256 - b) + corner(0, 1) * b;
  const std::int64_t below = corner(1, 0) * (256 - b) + corner(1, 1) * b;
  return (above * (256 - down % 256) + below * (down % 256)) / 65536;
}

std::vector<std::uint8_t> make_patterns(const ImageShape& shape, std::int64_t classes,
                                        std::uint64_t seed) {
  std::vector<std::uint8_t> patterns;
  for (std::int64_t plane = 0; plane < classes * shape.channels; ++plane) {
    const std::uint64_t key = derive_key(seed, kPattern, plane);
    for (std::int64_t y = 0; y < shape.height; ++y) {
      for (std::int64_t x = 0; x < shape.width; ++x) {
        patterns.push_back(static_cast<std::uint8_t>(pattern_at(key, y, x, shape)));
      }
    }
  }
  return patterns;
}

// Draws the images of one half from the patterns of the classes.
class Painter {
 public:
  Painter(const ImageShape& shape, std::int64_t classes, const std::vector<std::uint8_t>& patterns)
      : shape_(shape), classes_(classes), patterns_(patterns) {}

  void paint(std::int64_t label, std::uint64_t key, std::vector<std::uint8_t>& out) const {
    const std::int64_t other = (label + draw(key, kOther, 1, classes_ - 1)) % classes_;
    const std::int64_t mix = draw(key, kMix, 0, kMaxMix);
    const std::int64_t contrast = draw(key, kContrast, 160, 288);
    const std::int64_t shift = std::max<std::int64_t>(1, shape_.height / 14);
    const std::int64_t down = draw(key, kDown, -shift, shift);
    const std::int64_t right = draw(key, kRight, -shift, shift);
    std::uint64_t counter = kPixelNoise;
    for (std::int64_t c = 0; c < shape_.channels; ++c) {
      for (std::int64_t y = 0; y < shape_.height; ++y) {
        for (std::int64_t x = 0; x < shape_.width; ++x) {
          const std::int64_t own = at(label, c, y + down, x + right) * (256 - mix);
          const std::int64_t value = (own + at(other, c, y, x) * mix) / 256 * contrast / 256;
          const std::int64_t noise = draw(key, counter++, -kMaxNoise, kMaxNoise);
          out.push_back(static_cast<std::uint8_t>(std::clamp<std::int64_t>(value + noise, 0, 255)));
        }
      }
    }
  }

 private:
  std::int64_t at(std::int64_t label, std::int64_t c, std::int64_t y, std::int64_t x) const {
    y = std::clamp<std::int64_t>(y, 0, shape_.height - 1);
    x = std::clamp<std::int64_t>(x, 0, shape_.width - 1);
    const std::int64_t plane = label * shape_.channels + c;
    return patterns_[static_cast<std::size_t>((plane * shape_.height + y) * shape_.width + x)];
  }

  const ImageShape& shape_;
  std::int64_t classes_;
  const std::vector<std::uint8_t>& patterns_;
};

// Classes in turn, so that every half is balanced.
Dataset make_half(const Painter& painter, const ImageShape& shape, std::int64_t classes,
                  std::int64_t count, std::uint64_t key) {
  Images images{shape, {}};
  Dataset half;
  images.pixels.reserve(static_cast<std::size_t>(count * images.pixels_per_image()));
  for (std::int64_t i = 0; i < count; ++i) {
    half.labels.push_back(static_cast<std::int32_t>(i % classes));
    painter.paint(i % classes, derive_key(key, i), images.pixels);
  }
  for (std::int64_t label = 0; label < classes; ++label) {
    half.class_names.push_back(std::to_string(label));
  }
  half.images = std::make_shared<const Images>(std::move(images));
  return half;
}

void check(const char* what, std::int64_t found, std::int64_t least, std::int64_t most) {
  if (found >= least && found <= most) return;
  throw std::invalid_argument("[synthetic] found " + std::to_string(found) + ' ' + what +
                              ", expected " + std::to_string(least) + " to " +
                              std::to_string(most));
}

// "10x1x28x28" in four numbers.
std::optional<std::array<std::int64_t, 4>> parse_sizes(std::string_view text) {
  std::array<std::int64_t, 4> sizes{};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sizes[i]);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (i + 1 < sizes.size()) {
      if (!text.starts_with('x')) return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty()) return std::nullopt;
  return sizes;
}

}  // namespace

TrainTest make_synthetic(const ImageShape& shape, std::int64_t classes, std::int64_t train,
                         std::int64_t test, std::uint64_t seed) {
  check("classes", classes, 2, kMaxClasses);
  check("channels", shape.channels, 1, kMaxSyntheticChannels);
  check("rows", shape.height, 1, kMaxSyntheticSide);
  check("columns", shape.width, 1, kMaxSyntheticSide);
  check("training images", train, 1, kMaxCount);
  check("test images", test, 1, kMaxCount);
  const std::vector<std::uint8_t> patterns = make_patterns(shape, classes, seed);
  const Painter painter(shape, classes, patterns);
  return {make_half(painter, shape, classes, train, derive_key(seed, kTrain)),
          make_half(painter, shape, classes, test, derive_key(seed, kTest))};
}

TrainTest read_synthetic(std::string_view sizes) {
  constexpr std::int64_t kTrainCount = 6'000;
  constexpr std::int64_t kTestCount = 1'000;
  if (sizes.empty()) return make_synthetic({}, 10, kTrainCount, kTestCount, 0);
  const auto parsed = parse_sizes(sizes);
  if (!parsed) {
    throw DataError("[synthetic] found sizes \"" + std::string(sizes) +
                    "\", expected CLASSESxCHANNELSxHEIGHTxWIDTH");
  }
  const auto [classes, channels, height, width] = *parsed;
  try {
    return make_synthetic({channels, height, width}, classes, kTrainCount, kTestCount, 0);
  } catch (const std::invalid_argument& error) {
    throw DataError(error.what());
  }
}

}  // namespace fedstill
