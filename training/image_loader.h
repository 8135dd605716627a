#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>

#include "data/batches.h"
#include "data/images.h"

namespace fedstill {

struct LoaderOptions {
  Normalisation normalisation{};
  Augmentation augmentation{};
  bool channels_last = true;  // the memory format of what is loaded into
  at::Device device = at::kCPU;
};

// Brings images to where a network reads them: what gather() does, on any device. One thread at a
// time.
class ImageLoader {
 public:
  virtual ~ImageLoader() = default;
  // Writes these rows of the view, normalised and augmented, to out [rows, C, H, W] float32: made
  // by empty_images(), or a part of it along the first axis. `key` and `first` as in gather().
  virtual void load(std::span<const std::int64_t> rows, std::uint64_t key, std::size_t first,
                    const at::Tensor& out) = 0;
};

// On another device than the cpu the images lie there as bytes if they take no more than a quarter
// of its free memory; else each batch is made on the host and sent. Both give the same values.
std::unique_ptr<ImageLoader> make_image_loader(ImageView images, const LoaderOptions& options);
// The first of the two, wherever the device is; make_image_loader() chooses.
std::unique_ptr<ImageLoader> make_resident_loader(const ImageView& images,
                                                  const LoaderOptions& options);

at::Tensor empty_images(std::int64_t count, const ImageShape& shape, const LoaderOptions& options);

}  // namespace fedstill
