#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <span>
#include <vector>

#include "model/builder.h"
#include "model/random.h"
#include "training/batch_source.h"

namespace fedstill::tests {

inline at::Tensor random_tensor(std::vector<std::int64_t> shape, std::uint64_t seed,
                                float deviation = 1.0F) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  fill_normal({tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())}, seed,
              deviation);
  return tensor;
}

inline std::vector<float> values(const at::Tensor& tensor) {
  const at::Tensor rows = tensor.detach().contiguous();
  return {rows.const_data_ptr<float>(), rows.const_data_ptr<float>() + rows.numel()};
}

// A net with everything whose state a checkpoint must keep: BatchNorm, dropout, bias and weights.
inline Graph small_net(std::uint64_t seed = 3) {
  GraphBuilder build("small", {2, 8, 8}, seed);
  int node = build.conv_bn_relu(0, {.out = 4});
  node = build.pool(node, Op::kMaxPool, 2, 2);
  node = build.unary(build.conv(node, {.out = 6}), Op::kReLU);
  node = build.dropout(build.unary(node, Op::kGlobalAveragePool), 0.25F);
  return std::move(build).finish(build.linear(node, 3));
}

// Images whose class is where they are bright, so that a small net can learn it.
class ToyBatches : public BatchSource {
 public:
  explicit ToyBatches(std::int64_t steps = 4, std::int64_t batch = 16)
      : steps_(steps), batch_(batch) {}

  std::int64_t steps_per_epoch() const override { return steps_; }

  Batch batch(std::int64_t epoch, std::int64_t step) override {
    const std::uint64_t key = derive_key(99, epoch, step);
    at::Tensor images = random_tensor({batch_, 2, 8, 8}, key, 0.3F);
    at::Tensor labels = at::empty({batch_}, at::kLong);
    for (std::int64_t i = 0; i < batch_; ++i) {
      const auto label =
          static_cast<std::int64_t>(random_below(key, 1000 + static_cast<std::uint64_t>(i), 3));
      labels.mutable_data_ptr<std::int64_t>()[i] = label;
      images[i][label == 2 ? 1 : 0].narrow(0, label == 0 ? 0 : 4, 4).add_(1.0F);
    }
    return {images, labels};
  }

 private:
  std::int64_t steps_, batch_;
};

}  // namespace fedstill::tests
