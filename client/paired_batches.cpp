#include "client/paired_batches.h"

#include <ATen/ops/cat.h>

#include <utility>

namespace fedstill {
namespace {

class PairedBatches : public BatchSource {
 public:
  PairedBatches(std::unique_ptr<BatchSource> first, std::unique_ptr<BatchSource> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  std::int64_t steps_per_epoch() const override { return first_->steps_per_epoch(); }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    const std::int64_t overall = epoch * steps_per_epoch() + step;
    const std::int64_t steps = second_->steps_per_epoch();
    const Batch left = first_->batch(epoch, step);
    const Batch right = second_->batch(overall / steps, overall % steps);
    return {.images = at::cat({left.images, right.images}),
            .targets = at::cat({left.targets, right.targets})};
  }

 private:
  std::unique_ptr<BatchSource> first_, second_;
};

}  // namespace

std::unique_ptr<BatchSource> make_paired_batches(std::unique_ptr<BatchSource> first,
                                                 std::unique_ptr<BatchSource> second) {
  return std::make_unique<PairedBatches>(std::move(first), std::move(second));
}

}  // namespace fedstill
