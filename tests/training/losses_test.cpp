#include "training/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "toy.h"
#include "training/batch_source.h"

namespace fedstill {
namespace {

using tests::random_tensor;
using tests::values;

TEST(Losses, CrossEntropyIsMinusTheLogOfTheSoftmax) {
  const at::Tensor logits = random_tensor({4, 3}, 1, 2.0F);
  const std::array<std::int32_t, 4> labels{0, 2, 1, 2};
  const std::vector<float> z = values(logits);
  double expected = 0.0;
  for (std::size_t i = 0; i < 4; ++i) {
    double sum = 0.0;
    for (std::size_t c = 0; c < 3; ++c) sum += std::exp(double{z[i * 3 + c]});
    expected += std::log(sum) - double{z[i * 3 + static_cast<std::size_t>(labels[i])]};
  }
  const at::Tensor loss = cross_entropy()(std::span(&logits, 1), to_tensor(labels));
  EXPECT_NEAR(loss.item<float>(), expected / 4.0, 1e-5);
}

TEST(Losses, DivergenceFromTheTruthIsTheCrossEntropyAndZeroFromItself) {
  const at::Tensor logits = random_tensor({4, 3}, 1, 2.0F);
  const std::array<std::int32_t, 4> labels{0, 2, 1, 2};
  const at::Tensor truth = at::one_hot(to_tensor(labels), 3).to(at::kFloat);
  EXPECT_NEAR(divergence(logits, truth, 1.0).mean().item<float>(),
              cross_entropy()(std::span(&logits, 1), to_tensor(labels)).item<float>(), 1e-5);
  for (const double temperature : {1.0, 3.0}) {
    const at::Tensor same = at::softmax(logits / temperature, 1);
    EXPECT_NEAR(divergence(logits, same, temperature).abs().max().item<float>(), 0.0, 1e-5);
    EXPECT_GT(divergence(logits, truth, temperature).min().item<float>(), 0.0);
  }
}

TEST(Losses, BinaryCrossEntropyTakesColumnsAndIntegerTargets) {
  const at::Tensor logits = random_tensor({5}, 1, 2.0F), column = logits.reshape({5, 1});
  const std::array<std::int32_t, 5> labels{0, 1, 1, 0, 1};
  const std::vector<float> z = values(logits);
  double expected = 0.0;
  for (std::size_t i = 0; i < 5; ++i) {
    expected += std::log1p(std::exp(labels[i] == 1 ? -double{z[i]} : double{z[i]}));
  }
  const at::Tensor targets = to_tensor(labels);
  EXPECT_NEAR(binary_cross_entropy()(std::span(&logits, 1), targets).item<float>(), expected / 5.0,
              1e-5);
  EXPECT_NEAR(binary_cross_entropy()(std::span(&column, 1), targets.to(at::kFloat)).item<float>(),
              expected / 5.0, 1e-5);
}

TEST(Losses, BinaryCrossEntropyStaysFiniteForLargeLogits) {
  const at::Tensor logits = at::full({2}, 200.0F, at::kFloat);
  const std::array<std::int32_t, 2> labels{0, 1};
  EXPECT_NEAR(binary_cross_entropy()(std::span(&logits, 1), to_tensor(labels)).item<float>(),
              100.0F, 1e-3);
}

}  // namespace
}  // namespace fedstill
