#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "data/batches.h"

namespace fedstill {
namespace {

using Histogram = std::array<std::uint64_t, 256>;
__extension__ using Wide = unsigned __int128;

// A channel that never changes is divided by one grey level instead of by nothing.
constexpr float kLeastDeviation = 1.0F / 255.0F;

std::vector<Histogram> count_values(const ImageView& images) {
  const ImageShape& shape = images.images->shape;
  const auto plane = static_cast<std::size_t>(shape.height * shape.width);
  std::vector<Histogram> channels(static_cast<std::size_t>(shape.channels));
  for (std::int64_t i = 0; i < images.count(); ++i) {
    const auto pixels = images.image(i);
    for (std::size_t c = 0; c < channels.size(); ++c) {
      for (const std::uint8_t value : pixels.subspan(c * plane, plane)) ++channels[c][value];
    }
  }
  return channels;
}

struct Sums {
  std::uint64_t count = 0, values = 0, squares = 0;
};

Sums sum(const Histogram& histogram) {
  Sums sums;
  for (std::uint64_t value = 0; value < histogram.size(); ++value) {
    sums.count += histogram[value];
    sums.values += histogram[value] * value;
    sums.squares += histogram[value] * value * value;
  }
  return sums;
}

}  // namespace

Normalisation measure_normalisation(const ImageView& images) {
  if (images.count() == 0) throw std::invalid_argument("[normalisation] found no images");
  Normalisation normalisation;
  for (const Histogram& histogram : count_values(images)) {
    const Sums sums = sum(histogram);
    // Whole numbers up to the last step, and no a·b + c that a compiler might fuse: the same bits
    // on every machine.
    const Wide spread = Wide{sums.count} * sums.squares - Wide{sums.values} * sums.values;
    const double scale = static_cast<double>(sums.count) * 255.0;
    const double deviation = std::sqrt(static_cast<double>(spread)) / scale;
    normalisation.mean.push_back(static_cast<float>(static_cast<double>(sums.values) / scale));
    normalisation.deviation.push_back(std::max(static_cast<float>(deviation), kLeastDeviation));
  }
  return normalisation;
}

}  // namespace fedstill
