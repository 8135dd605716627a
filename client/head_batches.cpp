#include "client/head_batches.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

#include "data/batches.h"
#include "model/random.h"

namespace fedstill {
namespace {

// Walks one side for ever, reshuffled every time it is through.
class Side {
 public:
  Side(at::Tensor rows, std::int64_t batch, std::uint64_t seed)
      : rows_(std::move(rows)),
        batch_(std::min(batch, rows_.size(0))),
        shuffle_(rows_.size(0), batch_, seed) {}

  std::int64_t steps() const { return shuffle_.steps(); }

  at::Tensor batch(std::int64_t step) {
    const auto rows = shuffle_.rows(step / steps(), step % steps());
    at::Tensor indices = at::empty({static_cast<std::int64_t>(rows.size())}, at::kLong);
    std::copy(rows.begin(), rows.end(), indices.data_ptr<std::int64_t>());
    return rows_.index_select(0, indices);
  }

 private:
  at::Tensor rows_;
  std::int64_t batch_;
  EpochShuffle shuffle_;
};

class BalancedRows : public BatchSource {
 public:
  BalancedRows(at::Tensor positives, at::Tensor negatives, std::int64_t half, std::uint64_t seed)
      : positives_(std::move(positives), half, derive_key(seed, 1)),
        negatives_(std::move(negatives), half, derive_key(seed, 0)) {}

  std::int64_t steps_per_epoch() const override {
    return std::max(positives_.steps(), negatives_.steps());
  }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    const std::int64_t overall = epoch * steps_per_epoch() + step;
    const at::Tensor positives = positives_.batch(overall);
    const at::Tensor negatives = negatives_.batch(overall);
    return {at::cat({positives, negatives}),
            at::cat({at::ones({positives.size(0)}), at::zeros({negatives.size(0)})})};
  }

 private:
  Side positives_, negatives_;
};

class OneEpoch : public BatchSource {
 public:
  OneEpoch(std::unique_ptr<BatchSource> inner, std::int64_t steps)
      : inner_(std::move(inner)), steps_(steps) {}

  std::int64_t steps_per_epoch() const override { return steps_; }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    const std::int64_t overall = epoch * steps_ + step;
    const std::int64_t inner_steps = inner_->steps_per_epoch();
    return inner_->batch(overall / inner_steps, overall % inner_steps);
  }

 private:
  std::unique_ptr<BatchSource> inner_;
  std::int64_t steps_;
};

}  // namespace

std::unique_ptr<BatchSource> make_balanced_rows(at::Tensor positives, at::Tensor negatives,
                                                std::int64_t batch, std::uint64_t seed) {
  if (positives.size(0) < 1 || negatives.size(0) < 1 || batch < 2) {
    throw std::invalid_argument("[head] " + std::to_string(positives.size(0)) + " positives, " +
                                std::to_string(negatives.size(0)) + " negatives, batch " +
                                std::to_string(batch) + ": expected at least 1, 1 and 2");
  }
  return std::make_unique<BalancedRows>(std::move(positives), std::move(negatives), batch / 2,
                                        seed);
}

std::unique_ptr<BatchSource> make_one_epoch(std::unique_ptr<BatchSource> inner,
                                            std::int64_t steps) {
  if (steps < 1) {
    throw std::invalid_argument("[head] steps: found " + std::to_string(steps) +
                                ", expected 1 or more");
  }
  return std::make_unique<OneEpoch>(std::move(inner), steps);
}

}  // namespace fedstill
