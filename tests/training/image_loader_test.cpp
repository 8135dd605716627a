#include "training/image_loader.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <vector>

#include "model/random.h"

namespace fedstill {
namespace {

// Some of a set, out of order, of two channels and no square.
ImageView some_images(std::int64_t channels) {
  auto images = std::make_shared<Images>();
  images->shape = {.channels = channels, .height = 7, .width = 5};
  images->pixels.resize(static_cast<std::size_t>(20 * images->pixels_per_image()));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_bits(4, i));
  }
  return {std::move(images), {3, 1, 19, 7, 4, 0, 12, 11}};
}

LoaderOptions options(std::int64_t channels, const Augmentation& augmentation, bool channels_last) {
  LoaderOptions out;
  out.normalisation.mean.assign(static_cast<std::size_t>(channels), 0.31F);
  out.normalisation.deviation.assign(static_cast<std::size_t>(channels), 0.27F);
  out.augmentation = augmentation;
  out.channels_last = channels_last;
  return out;
}

TEST(ResidentImages, LoadTheSameBitsAsTheHostGathers) {
  const std::vector<std::int64_t> rows{7, 0, 0, 3, 5};
  const std::vector<Augmentation> changes{
      {}, {.crop_padding = 2}, {.flip = true}, {.erase = 0.7F}, {3, true, 0.5F}};
  for (const std::int64_t channels : {1, 3}) {
    const ImageView images = some_images(channels);
    for (const Augmentation& change : changes) {
      for (const bool channels_last : {false, true}) {
        const LoaderOptions o = options(channels, change, channels_last);
        const auto host = make_image_loader(images, o), resident = make_resident_loader(images, o);
        for (std::uint64_t key = 0; key < 20; ++key) {
          const at::Tensor a = empty_images(5, images.images->shape, o);
          const at::Tensor b = empty_images(5, images.images->shape, o);
          host->load(rows, key, key % 3, a);
          resident->load(rows, key, key % 3, b);
          ASSERT_TRUE(at::equal(a, b)) << channels << " channels, key " << key;
        }
      }
    }
  }
}

TEST(ImageLoader, FillsAPartOfABatch) {
  const ImageView images = some_images(3);
  const LoaderOptions o = options(3, {}, true);
  const std::vector<std::int64_t> rows{2, 5, 1, 6};
  const at::Tensor whole = empty_images(4, images.images->shape, o);
  make_image_loader(images, o)->load(rows, 0, 0, whole);
  for (const bool resident : {false, true}) {
    const auto loader = resident ? make_resident_loader(images, o) : make_image_loader(images, o);
    const at::Tensor halves = empty_images(4, images.images->shape, o).zero_();
    loader->load(std::span(rows).first(2), 0, 0, halves.narrow(0, 0, 2));
    loader->load(std::span(rows).last(2), 0, 2, halves.narrow(0, 2, 2));
    EXPECT_TRUE(at::equal(whole, halves));
  }
}

}  // namespace
}  // namespace fedstill
