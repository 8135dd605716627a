#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/zoo.h"

namespace fedstill {

// Equal-sized uint8 images, [N, C, H, W] contiguous. Immutable after loading; shared by everything
// that looks at a part of it.
struct Images {
  ImageShape shape;
  std::vector<std::uint8_t> pixels;

  std::int64_t pixels_per_image() const { return shape.channels * shape.height * shape.width; }
  std::int64_t count() const {
    return static_cast<std::int64_t>(pixels.size()) / pixels_per_image();
  }
};

// Some images of a set, in the order of the indices. A view that keeps the images alive; cheap to
// copy.
struct ImageView {
  std::shared_ptr<const Images> images;
  std::vector<std::int64_t> indices;

  std::int64_t count() const { return static_cast<std::int64_t>(indices.size()); }
  std::span<const std::uint8_t> image(std::int64_t i) const;
};

// Images with one label each: what a client owns, and the test set of a benchmark.
struct Dataset {
  std::shared_ptr<const Images> images;
  std::vector<std::int32_t> labels;      // one per image, in [0, classes)
  std::vector<std::string> class_names;  // size() is the number of classes

  std::int64_t classes() const { return static_cast<std::int64_t>(class_names.size()); }
};

// A client's share: a view with the labels of exactly those images.
struct Shard {
  ImageView images;
  std::vector<std::int32_t> labels;
};
Shard make_shard(const Dataset& dataset, std::vector<std::int64_t> indices);

// What the coordinator may see: images, and no member that could hold a label.
struct UnlabeledPool {
  ImageView images;
  std::string hash() const;  // SHA-256 over shape and pixels, in order
};

// Labels that exist only to measure; only launch/ and tests may read them.
struct HiddenLabels {
  std::vector<std::int32_t> labels;
};

}  // namespace fedstill
