#include "training/batch_source.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "model/random.h"
#include "training/device.h"
#include "training/image_loader.h"

namespace fedstill {

namespace {

LoaderOptions loader_options(const BatchOptions& options) {
  return {options.normalisation, options.augmentation, options.channels_last, options.device};
}

class ShuffledBatches : public BatchSource {
 public:
  ShuffledBatches(ImageView images, at::Tensor targets, const BatchOptions& options)
      : shape_(images.images->shape),
        targets_(std::move(targets)),
        options_(options),
        shuffle_(images.count(), options.batch, options.seed) {
    check(images.count());
    targets_ = to_device(targets_, options_.device);
    loader_ = make_image_loader(std::move(images), loader_options(options_));
  }

  std::int64_t steps_per_epoch() const override { return shuffle_.steps(); }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    const std::span<const std::int64_t> all = shuffle_.rows(epoch, step);
    const auto begin_of = [&](int part) {
      return all.size() * static_cast<std::size_t>(part) / static_cast<std::size_t>(options_.parts);
    };
    const std::size_t first = begin_of(options_.part);
    const auto rows = all.subspan(first, begin_of(options_.part + 1) - first);
    const auto count = static_cast<std::int64_t>(rows.size());
    at::Tensor images = empty_images(count, shape_, loader_options(options_));
    loader_->load(rows, derive_key(options_.seed, epoch, step), first, images);
    at::Tensor index = at::empty({count}, at::kLong);
    std::ranges::copy(rows, index.mutable_data_ptr<std::int64_t>());
    return {std::move(images), targets_.index_select(0, to_device(index, options_.device)),
            static_cast<double>(count) / static_cast<double>(all.size())};
  }

 private:
  void check(std::int64_t count) const {
    if (targets_.dim() < 1 || targets_.size(0) != count) {
      throw std::invalid_argument("[batches] found " + std::to_string(targets_.numel()) +
                                  " target values for " + std::to_string(count) +
                                  " images, expected one row each");
    }
    if (options_.part < 0 || options_.part >= options_.parts ||
        std::min(options_.batch, count) < options_.parts) {
      throw std::invalid_argument("[batches] part " + std::to_string(options_.part) + " of " +
                                  std::to_string(options_.parts) + " of batches of " +
                                  std::to_string(std::min(options_.batch, count)));
    }
  }

  ImageShape shape_;
  at::Tensor targets_;
  BatchOptions options_;
  EpochShuffle shuffle_;
  std::unique_ptr<ImageLoader> loader_;
};

// An endless walk over [0, count): one shuffled pass after the other, without dropping rows.
class EndlessShuffle {
 public:
  EndlessShuffle(std::int64_t count, std::uint64_t seed)
      : count_(count), shuffle_(count, count, seed) {}

  std::vector<std::int64_t> rows(std::int64_t begin, std::int64_t length) {
    std::vector<std::int64_t> rows;
    while (length > 0) {
      const std::span<const std::int64_t> pass = shuffle_.rows(begin / count_, 0);
      const std::int64_t offset = begin % count_, taken = std::min(length, count_ - offset);
      rows.insert(rows.end(), pass.begin() + offset, pass.begin() + offset + taken);
      begin += taken;
      length -= taken;
    }
    return rows;
  }

 private:
  std::int64_t count_;
  EpochShuffle shuffle_;
};

class BalancedBatches : public BatchSource {
 public:
  BalancedBatches(ImageView positives, ImageView negatives, const BatchOptions& options)
      : half_(std::max<std::int64_t>(1, options.batch / 2)),
        steps_(std::max<std::int64_t>(1, std::max(positives.count(), negatives.count()) / half_)),
        shape_(positives.images->shape),
        options_(options),
        positives_(std::move(positives), options, 1),
        negatives_(std::move(negatives), options, 2) {
    if (!(positives_.shape == negatives_.shape)) {
      throw std::invalid_argument("[batches] positives and negatives differ in shape");
    }
    targets_ = at::full({2 * half_}, 1.0F, at::TensorOptions(at::kFloat).device(options.device));
    targets_.narrow(0, half_, half_).zero_();
  }

  std::int64_t steps_per_epoch() const override { return steps_; }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    at::Tensor images = empty_images(2 * half_, shape_, loader_options(options_));
    const std::int64_t position = epoch * steps_ + step;
    fill(positives_, position, images.narrow(0, 0, half_));
    fill(negatives_, position, images.narrow(0, half_, half_));
    return {.images = std::move(images), .targets = targets_};
  }

 private:
  struct Side {
    Side(ImageView view, const BatchOptions& options, std::uint64_t number)
        : shape(view.images->shape),
          key(derive_key(options.seed, number)),
          shuffle(view.count(), key),
          loader(make_image_loader(std::move(view), loader_options(options))) {}
    ImageShape shape;
    std::uint64_t key;
    EndlessShuffle shuffle;
    std::unique_ptr<ImageLoader> loader;
  };

  void fill(Side& side, std::int64_t position, const at::Tensor& out) {
    const std::vector<std::int64_t> rows = side.shuffle.rows(position * half_, half_);
    side.loader->load(rows, derive_key(side.key, position), /*first=*/0, out);
  }

  std::int64_t half_, steps_;
  ImageShape shape_;
  BatchOptions options_;
  Side positives_, negatives_;
  at::Tensor targets_;
};

}  // namespace

std::unique_ptr<BatchSource> make_batches(ImageView images, at::Tensor targets,
                                          const BatchOptions& options) {
  return std::make_unique<ShuffledBatches>(std::move(images), std::move(targets), options);
}

std::unique_ptr<BatchSource> make_balanced_batches(ImageView positives, ImageView negatives,
                                                   const BatchOptions& options) {
  return std::make_unique<BalancedBatches>(std::move(positives), std::move(negatives), options);
}

at::Tensor to_tensor(std::span<const std::int32_t> labels) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(labels.size())}, at::kLong);
  std::ranges::copy(labels, tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

}  // namespace fedstill
