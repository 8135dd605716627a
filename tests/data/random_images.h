#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "data/images.h"
#include "model/random.h"

namespace fedstill::tests {

using Rows = std::vector<std::int64_t>;

inline ImageView random_images(const ImageShape& shape, std::int64_t count,
                               std::uint64_t seed = 1) {
  auto images = std::make_shared<Images>();
  images->shape = shape;
  images->pixels.resize(static_cast<std::size_t>(count * images->pixels_per_image()));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_below(seed, i, 256));
  }
  // A view in an order of its own: rows count within the view, not within the images.
  Rows order(static_cast<std::size_t>(count));
  std::iota(order.rbegin(), order.rend(), 0);
  return {images, order};
}

// Pixels of one value that no border or blank has.
inline ImageView grey_images(const ImageShape& shape, std::uint8_t value) {
  ImageView view = random_images(shape, 1);
  auto images = std::make_shared<Images>(*view.images);
  std::ranges::fill(images->pixels, value);
  view.images = images;
  return view;
}

}  // namespace fedstill::tests
