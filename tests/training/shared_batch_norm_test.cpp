#include "training/shared_batch_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <array>
#include <mutex>

#include "collective/local/local.h"
#include "toy.h"

namespace fedstill {
namespace {

using tests::random_tensor;

constexpr std::int64_t kChannels = 3;
constexpr double kEpsilon = 1e-5;

BatchNormTensors fresh() {
  BatchNormTensors tensors{random_tensor({kChannels}, 1).add_(1.0F), random_tensor({kChannels}, 2),
                           at::full({kChannels}, 0.0F), at::full({kChannels}, 1.0F)};
  tensors.weight.set_requires_grad(true);
  tensors.bias.set_requires_grad(true);
  return tensors;
}

struct Passed {
  at::Tensor result, of_images, of_weight, of_bias, mean, variance;
};

template <typename Norm>
Passed pass(const at::Tensor& images, const at::Tensor& gradient, const Norm& norm) {
  const BatchNormTensors tensors = fresh();
  const at::Tensor x = images.detach().clone().set_requires_grad(true);
  const at::Tensor y = norm(x, tensors);
  (y * gradient).sum().backward();
  return {y.detach(),           x.grad(),           tensors.weight.grad(), tensors.bias.grad(),
          tensors.running_mean, tensors.running_var};
}

void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const char* what) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  EXPECT_LE((a - b).abs().max().item<float>(), tolerance * (1.0 + b.abs().max().item<float>()))
      << what;
}

struct BatchNormCase {
  std::vector<std::int64_t> parts;  // images of each rank
  std::vector<std::int64_t> image;  // behind the channels
  float offset;
};

class SharedBatchNorm : public ::testing::TestWithParam<BatchNormCase> {};

TEST_P(SharedBatchNorm, IsThatOfOneRankWithAllImages) {
  const BatchNormCase& given = GetParam();
  std::int64_t count = 0;
  for (const std::int64_t part : given.parts) count += part;
  std::vector<std::int64_t> shape{count, kChannels};
  shape.insert(shape.end(), given.image.begin(), given.image.end());
  const at::Tensor images = random_tensor(shape, 3).add_(given.offset);
  const at::Tensor gradient = random_tensor(shape, 4);
  // In float64, so that what is measured is ours.
  const Passed whole = pass(images, gradient, [](const at::Tensor& x, const BatchNormTensors& t) {
    return at::batch_norm(x.to(at::kDouble), t.weight.to(at::kDouble), t.bias.to(at::kDouble), {},
                          {}, true, 0.1, kEpsilon, false);
  });
  const Passed statistics =
      pass(images, gradient, [](const at::Tensor& x, const BatchNormTensors& t) {
        return at::batch_norm(x, t.weight, t.bias, t.running_mean, t.running_var, true, 0.1,
                              kEpsilon, false);
      });
  std::vector<Passed> parts(given.parts.size());
  local::run_ranks(static_cast<int>(given.parts.size()), [&](Collective& group) {
    std::int64_t begin = 0;
    for (int rank = 0; rank < group.rank(); ++rank)
      begin += given.parts.at(static_cast<std::size_t>(rank));
    const auto me = static_cast<std::size_t>(group.rank());
    parts[me] =
        pass(images.narrow(0, begin, given.parts[me]), gradient.narrow(0, begin, given.parts[me]),
             [&](const at::Tensor& x, const BatchNormTensors& t) {
               return shared_batch_norm(x, t, kEpsilon, group);
             });
  });
  std::vector<at::Tensor> results, gradients;
  at::Tensor of_weight = at::full({kChannels}, 0.0F), of_bias = at::full({kChannels}, 0.0F);
  for (const Passed& part : parts) {
    results.push_back(part.result);
    gradients.push_back(part.of_images);
    of_weight += part.of_weight;
    of_bias += part.of_bias;
    expect_close(part.mean, statistics.mean, 1e-6, "running mean");
    expect_close(part.variance, statistics.variance, 1e-6, "running variance");
    EXPECT_TRUE(part.mean.equal(parts[0].mean) && part.variance.equal(parts[0].variance));
  }
  const double tolerance = given.offset == 0.0F ? 1e-6 : 1e-4;  // of x − mean in float32
  expect_close(at::cat(results), whole.result.to(at::kFloat), tolerance, "result");
  expect_close(at::cat(gradients), whole.of_images, tolerance, "gradient of the images");
  expect_close(of_weight, whole.of_weight, tolerance, "gradient of the weight");
  expect_close(of_bias, whole.of_bias, tolerance, "gradient of the bias");
}

INSTANTIATE_TEST_SUITE_P(Cases, SharedBatchNorm,
                         ::testing::Values(BatchNormCase{{8}, {5, 5}, 0.0F},
                                           BatchNormCase{{4, 4}, {5, 5}, 0.0F},
                                           BatchNormCase{{1, 7, 2}, {4, 4}, 0.0F},
                                           BatchNormCase{{1, 1, 1}, {}, 0.0F},
                                           BatchNormCase{{4, 4}, {5, 5}, 100.0F}));

}  // namespace
}  // namespace fedstill
