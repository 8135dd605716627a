#include "data/idx_writer.h"

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "model/atomic_file.h"

namespace fedstill {
namespace {

std::vector<std::uint8_t> header(std::initializer_list<std::int64_t> words) {
  std::vector<std::uint8_t> bytes;
  for (const std::int64_t word : words) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<std::uint8_t>(word >> shift & 0xFF));
    }
  }
  return bytes;
}

std::span<const std::byte> as_written(const std::vector<std::uint8_t>& bytes) {
  return std::as_bytes(std::span(bytes));
}

}  // namespace

std::vector<std::uint8_t> encode_idx_images(const ImageView& images) {
  if (images.count() == 0) throw std::invalid_argument("[idx] no images to write");
  const ImageShape& shape = images.images->shape;
  std::vector<std::uint8_t> bytes =
      shape.channels == 1
          ? header({0x00000803, images.count(), shape.height, shape.width})
          : header({0x00000804, images.count(), shape.channels, shape.height, shape.width});
  bytes.reserve(bytes.size() +
                static_cast<std::size_t>(images.count() * images.images->pixels_per_image()));
  for (std::int64_t i = 0; i < images.count(); ++i) {
    const auto image = images.image(i);
    bytes.insert(bytes.end(), image.begin(), image.end());
  }
  return bytes;
}

std::vector<std::uint8_t> encode_idx_labels(std::span<const std::int32_t> labels) {
  std::vector<std::uint8_t> bytes = header({0x00000801, static_cast<std::int64_t>(labels.size())});
  for (const std::int32_t label : labels) {
    if (label < 0 || label > 255) {
      throw std::invalid_argument("[idx] label " + std::to_string(label) + ", expected 0 to 255");
    }
    bytes.push_back(static_cast<std::uint8_t>(label));
  }
  return bytes;
}

void write_idx_shard(const std::filesystem::path& folder, const Shard& shard) {
  std::filesystem::create_directories(folder);
  const bool gray = shard.images.images->shape.channels == 1;
  write_file_atomically(folder / (gray ? "train-images-idx3-ubyte" : "train-images-idx4-ubyte"),
                        as_written(encode_idx_images(shard.images)));
  write_file_atomically(folder / "train-labels-idx1-ubyte",
                        as_written(encode_idx_labels(shard.labels)));
}

}  // namespace fedstill
