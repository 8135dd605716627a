#include "training/batch_norm_relu.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "toy.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using tests::random_tensor;

struct Pass {
  at::Tensor images, result;
  BatchNormTensors tensors;
};

Pass start(std::int64_t n, std::int64_t c, std::int64_t side, float mean) {
  Pass run;
  run.images = random_tensor({n, c, side, side}, 1, 2.0F)
                   .add_(mean)
                   .contiguous(at::MemoryFormat::ChannelsLast);
  run.images.set_requires_grad(true);
  run.tensors.weight = random_tensor({c}, 2).set_requires_grad(true);
  run.tensors.bias = random_tensor({c}, 3).set_requires_grad(true);
  run.tensors.running_mean = random_tensor({c}, 4);
  run.tensors.running_var = random_tensor({c}, 5).abs_();
  return run;
}

void backward(const Pass& run) {
  at::mul(run.result, random_tensor(run.result.sizes().vec(), 6)).sum().backward();
}

Pass ours(std::int64_t n, std::int64_t c, std::int64_t side, float mean = 0.5F) {
  Pass run = start(n, c, side, mean);
  run.result = batch_norm_relu(run.images, run.tensors, 1e-5);
  backward(run);
  return run;
}

// The separate operators in double precision.
Pass separate(std::int64_t n, std::int64_t c, std::int64_t side, float mean = 0.5F) {
  Pass run = start(n, c, side, mean);
  const auto widen = [](at::Tensor& tensor) {
    tensor = tensor.detach().to(at::kDouble).set_requires_grad(tensor.requires_grad());
  };
  auto& t = run.tensors;
  for (at::Tensor* tensor : {&run.images, &t.weight, &t.bias, &t.running_mean, &t.running_var}) {
    widen(*tensor);
  }
  run.result = at::relu(at::batch_norm(run.images, t.weight, t.bias, t.running_mean, t.running_var,
                                       true, 0.1, 1e-5, false));
  backward(run);
  return run;
}

void expect_same(const Pass& a, const Pass& b, double tolerance) {
  const auto close = [&](const at::Tensor& x, const at::Tensor& y) {
    return at::allclose(x.to(at::kDouble), y.to(at::kDouble), tolerance, tolerance);
  };
  EXPECT_TRUE(close(a.result, b.result));
  EXPECT_TRUE(close(a.images.grad(), b.images.grad()));
  EXPECT_TRUE(close(a.tensors.weight.grad(), b.tensors.weight.grad()));
  EXPECT_TRUE(close(a.tensors.bias.grad(), b.tensors.bias.grad()));
  EXPECT_TRUE(close(a.tensors.running_mean, b.tensors.running_mean));
  EXPECT_TRUE(close(a.tensors.running_var, b.tensors.running_var));
}

TEST(BatchNormReLU, EqualsTheSeparateOperators) {
  for (const std::int64_t channels : {1, 3, 16, 37}) {
    for (const std::int64_t side : {1, 7, 20}) {
      SCOPED_TRACE(channels * 100 + side);
      expect_same(ours(5, channels, side), separate(5, channels, side), 5e-4);
    }
  }
}

TEST(BatchNormReLU, KeepsItsPrecisionFarFromZero) {
  expect_same(ours(8, 4, 16, 3000.0F), separate(8, 4, 16, 3000.0F), 5e-3);
}

TEST(BatchNormReLU, ThreadsDoNotChangeABit) {
  const Pass one = ours(16, 5, 20);
  set_thread_count(2);
  const Pass two = ours(16, 5, 20);
  set_thread_count(1);
  EXPECT_TRUE(at::equal(one.result, two.result));
  EXPECT_TRUE(at::equal(one.images.grad(), two.images.grad()));
  EXPECT_TRUE(at::equal(one.tensors.weight.grad(), two.tensors.weight.grad()));
  EXPECT_TRUE(at::equal(one.tensors.running_var, two.tensors.running_var));
}

TEST(BatchNormReLU, LetsNaNThrough) {
  Pass run = start(2, 2, 3, 0.0F);
  at::Tensor images = run.images.detach();
  images[0][1][0][0].fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(batch_norm_relu(images, run.tensors, 1e-5)[1][1][2][2].item<float>()));
}

TEST(BatchNormReLU, TakesOnlyWhatFits) {
  EXPECT_TRUE(fits_batch_norm_relu(
      random_tensor({2, 3, 4, 4}, 1).contiguous(at::MemoryFormat::ChannelsLast)));
  EXPECT_FALSE(fits_batch_norm_relu(random_tensor({2, 3, 4, 4}, 1)));
  EXPECT_FALSE(fits_batch_norm_relu(random_tensor({1, 3, 1, 1}, 1)));
  EXPECT_FALSE(fits_batch_norm_relu(random_tensor({8, 3}, 1)));
}

}  // namespace
}  // namespace fedstill
