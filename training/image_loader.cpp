#include "training/image_loader.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>

#include "data/augment.h"
#include "model/random.h"
#include "training/device.h"

namespace fedstill {
namespace {

// Room beside the images for models, activations and other clients.
constexpr std::int64_t kPartOfFreeMemory = 4;
// Pinned memory is the whole machine's, so large sets go up piece by piece.
constexpr std::int64_t kBytesPerUpload = std::int64_t{64} << 20;

at::MemoryFormat memory_format(const LoaderOptions& options) {
  return options.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

at::Tensor at_once(const at::Tensor& images, std::span<const std::int64_t> rows) {
  at::Tensor index = at::empty({static_cast<std::int64_t>(rows.size())}, at::kLong);
  std::ranges::copy(rows, index.mutable_data_ptr<std::int64_t>());
  return images.index_select(0, index);
}

class HostLoader : public ImageLoader {
 public:
  HostLoader(ImageView images, const LoaderOptions& options)
      : images_(std::move(images)), options_(options) {}

  void load(std::span<const std::int64_t> rows, std::uint64_t key, std::size_t first,
            const at::Tensor& out) override {
    const bool here = out.is_cpu();
    const at::Tensor made =
        here ? out
             : at::empty(out.sizes(), at::TensorOptions(at::kFloat).pinned_memory(true),
                         memory_format(options_));
    gather(images_, rows, options_.normalisation,
           {made.mutable_data_ptr<float>(), static_cast<std::size_t>(made.numel())},
           options_.channels_last, options_.augmentation, key, first);
    if (!here) out.copy_(made, /*non_blocking=*/true);
  }

 private:
  ImageView images_;
  LoaderOptions options_;
};

// Columns of the table of changes that goes to the device with a batch.
enum Column : std::int64_t { kRow, kDown, kRight, kFlip, kTop, kLeft, kBottom, kEnd, kColumns };

// All pixels of the view as bytes, [N · H · W, C], so that a batch is one gather of pixels.
class ResidentLoader : public ImageLoader {
 public:
  ResidentLoader(const ImageView& images, const LoaderOptions& options)
      : options_(options), shape_(images.images->shape), count_(images.count()) {
    upload(images);
    std::vector<float> means, scales;
    for (const auto& [mean, scale] : pixel_maps(options.normalisation)) {
      means.push_back(mean);
      scales.push_back(scale);
    }
    const auto channels = static_cast<std::int64_t>(means.size());
    mean_ = to_device(at::from_blob(means.data(), {channels}).clone(), options.device);
    scale_ = to_device(at::from_blob(scales.data(), {channels}).clone(), options.device);
    const auto integers = at::TensorOptions(at::kLong).device(options.device);
    y_ = at::arange(shape_.height, integers).view({1, shape_.height, 1});
    x_ = at::arange(shape_.width, integers).view({1, 1, shape_.width});
  }

  void load(std::span<const std::int64_t> rows, std::uint64_t key, std::size_t first,
            const at::Tensor& out) override {
    const at::Tensor changes = to_device(table(rows, key, first), options_.device);
    at::Tensor pixels;
    if (options_.augmentation.any()) {
      pixels = moved(changes);
    } else {
      pixels = pixels_.view({count_, shape_.height * shape_.width, shape_.channels})
                   .index_select(0, changes.select(1, kRow));
    }
    at::Tensor values = pixels.to(at::kFloat).sub_(mean_).mul_(scale_);
    values = values.view(
        {static_cast<std::int64_t>(rows.size()), shape_.height, shape_.width, shape_.channels});
    if (options_.augmentation.erase > 0.0F) values.masked_fill_(erased(changes), 0.0);
    out.copy_(values.permute({0, 3, 1, 2}));
  }

 private:
  void upload(const ImageView& images) {
    const std::int64_t size = images.images->pixels_per_image();
    const std::int64_t per_piece = std::max<std::int64_t>(1, kBytesPerUpload / size);
    const at::Tensor all =
        at::from_blob(const_cast<std::uint8_t*>(images.images->pixels.data()),
                      {images.images->count(), shape_.channels, shape_.height, shape_.width},
                      at::TensorOptions(at::kByte));
    pixels_ = at::empty({count_, shape_.height, shape_.width, shape_.channels},
                        at::TensorOptions(at::kByte).device(options_.device));
    for (std::int64_t begin = 0; begin < count_; begin += per_piece) {
      const std::int64_t taken = std::min(per_piece, count_ - begin);
      const auto rows =
          std::span(images.indices)
              .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(taken));
      const at::Tensor piece = to_device(at_once(all, rows), options_.device);
      pixels_.narrow(0, begin, taken).copy_(piece.permute({0, 2, 3, 1}));
    }
    pixels_ = pixels_.view({-1, shape_.channels});
  }

  // What is drawn for each image of a batch: [rows, kColumns].
  at::Tensor table(std::span<const std::int64_t> rows, std::uint64_t key, std::size_t first) const {
    const auto count = static_cast<std::int64_t>(rows.size());
    at::Tensor changes = at::empty({count, kColumns}, at::kLong);
    auto* to = changes.mutable_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < rows.size(); ++i, to += kColumns) {
      const Change change = draw_change(options_.augmentation, shape_, derive_key(key, first + i));
      const std::array<std::int64_t, kColumns> line{
          rows[i],           change.down,        change.right,         change.flip ? 1 : 0,
          change.erased.top, change.erased.left, change.erased.bottom, change.erased.right};
      std::ranges::copy(line, to);
    }
    return changes;
  }

  static at::Tensor column(const at::Tensor& changes, Column which) {
    return changes.select(1, which).view({-1, 1, 1});
  }

  // Shifted and mirrored as move_pixels() does, black outside: [rows · H · W, C] bytes.
  at::Tensor moved(const at::Tensor& changes) const {
    const at::Tensor mirrored = x_ + column(changes, kFlip) * (shape_.width - 1 - x_ * 2);
    const at::Tensor from_y = y_ + column(changes, kDown);
    const at::Tensor from_x = mirrored + column(changes, kRight);
    const at::Tensor inside = from_y.ge(0)
                                  .logical_and_(from_y.lt(shape_.height))
                                  .logical_and(from_x.ge(0))
                                  .logical_and(from_x.lt(shape_.width));
    const at::Tensor row =
        column(changes, kRow) * shape_.height + from_y.clamp(0, shape_.height - 1);
    const at::Tensor place = row * shape_.width + from_x.clamp(0, shape_.width - 1);
    at::Tensor pixels = pixels_.index_select(0, place.reshape({-1}));
    return pixels.mul_(inside.reshape({-1, 1}));
  }

  // [rows, H, W, 1]
  at::Tensor erased(const at::Tensor& changes) const {
    return y_.ge(column(changes, kTop))
        .logical_and(y_.lt(column(changes, kBottom)))
        .logical_and(x_.ge(column(changes, kLeft)))
        .logical_and(x_.lt(column(changes, kEnd)))
        .unsqueeze(-1);
  }

  LoaderOptions options_;
  ImageShape shape_;
  std::int64_t count_;
  at::Tensor pixels_, mean_, scale_, y_, x_;
};

bool fits(const ImageView& images, at::Device device) {
  const std::int64_t bytes = images.count() * images.images->pixels_per_image();
  return bytes <= device_memory(device).free / kPartOfFreeMemory;
}

}  // namespace

std::unique_ptr<ImageLoader> make_image_loader(ImageView images, const LoaderOptions& options) {
  if (!options.device.is_cpu() && fits(images, options.device)) {
    return make_resident_loader(images, options);
  }
  return std::make_unique<HostLoader>(std::move(images), options);
}

std::unique_ptr<ImageLoader> make_resident_loader(const ImageView& images,
                                                  const LoaderOptions& options) {
  return std::make_unique<ResidentLoader>(images, options);
}

at::Tensor empty_images(std::int64_t count, const ImageShape& shape, const LoaderOptions& options) {
  return at::empty({count, shape.channels, shape.height, shape.width},
                   at::TensorOptions(at::kFloat).device(options.device), memory_format(options));
}

}  // namespace fedstill
