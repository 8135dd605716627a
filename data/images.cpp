#include "data/images.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "model/sha256.h"

namespace fedstill {

std::span<const std::uint8_t> ImageView::image(std::int64_t i) const {
  const auto index = static_cast<std::size_t>(indices[static_cast<std::size_t>(i)]);
  const auto size = static_cast<std::size_t>(images->pixels_per_image());
  return std::span(images->pixels).subspan(index * size, size);
}

Shard make_shard(const Dataset& dataset, std::vector<std::int64_t> indices) {
  const std::int64_t count = dataset.images->count();
  Shard shard;
  shard.labels.reserve(indices.size());
  for (const std::int64_t index : indices) {
    if (index < 0 || index >= count) {
      throw std::invalid_argument("[shard] found index " + std::to_string(index) +
                                  ", expected less than " + std::to_string(count));
    }
    shard.labels.push_back(dataset.labels[static_cast<std::size_t>(index)]);
  }
  shard.images = ImageView{dataset.images, std::move(indices)};
  return shard;
}

std::string UnlabeledPool::hash() const {
  Sha256 sha;
  const ImageShape& shape = images.images->shape;
  std::array<std::byte, 32> header{};
  const std::array<std::int64_t, 4> numbers{images.count(), shape.channels, shape.height,
                                            shape.width};
  for (std::size_t i = 0; i < header.size(); ++i) {
    const auto number = static_cast<std::uint64_t>(numbers[i / 8]);
    header[i] = static_cast<std::byte>(number >> (8 * (i % 8)) & 0xFF);
  }
  sha.update(header);
  for (std::int64_t i = 0; i < images.count(); ++i) sha.update(std::as_bytes(images.image(i)));
  return sha.hex();
}

}  // namespace fedstill
