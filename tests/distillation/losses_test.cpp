#include "distillation/losses.h"

#include <ATen/ops/empty.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "model/random.h"

namespace fedstill {
namespace {

constexpr std::size_t kBatch = 5, kColumns = 4;

at::Tensor tensor_of(const std::vector<double>& values) {
  at::Tensor out = at::empty({kBatch, kColumns}, at::kFloat);
  std::ranges::transform(values, out.mutable_data_ptr<float>(),
                         [](double v) { return static_cast<float>(v); });
  return out;
}

std::vector<double> some_logits(std::uint64_t seed) {
  std::vector<double> out;
  for (std::size_t j = 0; j < kBatch * kColumns; ++j) {
    out.push_back(6.0 * random_uniform(seed, j) - 3.0);
  }
  return out;
}

std::vector<double> softmax_rows(std::vector<double> z, double temperature) {
  for (std::size_t b = 0; b < kBatch; ++b) {
    double sum = 0.0;
    for (std::size_t c = 0; c < kColumns; ++c) {
      sum += z[b * kColumns + c] = std::exp(z[b * kColumns + c] / temperature);
    }
    for (std::size_t c = 0; c < kColumns; ++c) z[b * kColumns + c] /= sum;
  }
  return z;
}

double value(const Loss& loss, const std::vector<double>& logits, const std::vector<double>& q) {
  const std::array outputs{tensor_of(logits)};
  return loss(outputs, tensor_of(q)).item<double>();
}

// The definitions, row by row, in double precision.
using Naive = std::function<double(const std::vector<double>& z, const std::vector<double>& q)>;

Naive naive_kl(double temperature) {
  return [temperature](const std::vector<double>& z, const std::vector<double>& q) {
    const auto p = softmax_rows(z, temperature);
    double sum = 0.0;
    for (std::size_t j = 0; j < q.size(); ++j) {
      if (q[j] > 0.0) sum += q[j] * std::log(q[j] / p[j]);
    }
    return temperature * temperature * sum / static_cast<double>(kBatch);
  };
}

double naive_hard_label(const std::vector<double>& z, const std::vector<double>& q) {
  const auto p = softmax_rows(z, 1.0);
  double sum = 0.0;
  for (std::size_t b = 0; b < kBatch; ++b) {
    const auto row = q.begin() + static_cast<std::ptrdiff_t>(b * kColumns);
    const auto top = static_cast<std::size_t>(std::max_element(row, row + kColumns) - row);
    sum -= std::log(p[b * kColumns + top]);
  }
  return sum / static_cast<double>(kBatch);
}

double naive_logit_distance(const std::vector<double>& z, const std::vector<double>& q) {
  double sum = 0.0;
  for (std::size_t b = 0; b < kBatch; ++b) {
    double mean_z = 0.0, mean_q = 0.0;
    const auto log_q = [&](std::size_t c) { return std::log(std::max(q[b * kColumns + c], 1e-6)); };
    for (std::size_t c = 0; c < kColumns; ++c) {
      mean_z += z[b * kColumns + c] / static_cast<double>(kColumns);
      mean_q += log_q(c) / static_cast<double>(kColumns);
    }
    for (std::size_t c = 0; c < kColumns; ++c) {
      sum += std::pow(z[b * kColumns + c] - mean_z - log_q(c) + mean_q, 2.0);
    }
  }
  return sum / static_cast<double>(kBatch * kColumns);
}

struct Case {
  std::string name;
  Loss loss;
  Naive naive;
};

std::vector<Case> cases() {
  return {{"kl, T = 1", kl_divergence(1.0), naive_kl(1.0)},
          {"kl, T = 4", kl_divergence(4.0), naive_kl(4.0)},
          {"hard-label", hard_label(), naive_hard_label},
          {"logit-distance", logit_distance(), naive_logit_distance}};
}

TEST(DistillationLosses, AgreeWithTheDefinitions) {
  for (const Case& c : cases()) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const auto z = some_logits(seed), q = softmax_rows(some_logits(seed + 100), 1.0);
      const double expected = c.naive(z, q);
      EXPECT_NEAR(value(c.loss, z, q), expected, 1e-5 * (1.0 + expected)) << c.name << " " << seed;
    }
  }
}

TEST(DistillationLosses, TakeProbabilitiesOfZero) {
  std::vector<double> q(kBatch * kColumns, 0.0);
  for (std::size_t b = 0; b < kBatch; ++b) q[b * kColumns + b % kColumns] = 1.0;
  const auto z = some_logits(3);
  for (const Case& c : cases()) {
    const double expected = c.naive(z, q);
    EXPECT_NEAR(value(c.loss, z, q), expected, 1e-5 * (1.0 + expected)) << c.name;
  }
}

TEST(DistillationLosses, GradientsAgreeWithFiniteDifferencesOfTheDefinitions) {
  constexpr double kStep = 1e-5;
  const auto z = some_logits(7), q = softmax_rows(some_logits(107), 1.0);
  for (const Case& c : cases()) {
    at::Tensor logits = tensor_of(z);
    logits.set_requires_grad(true);
    const std::array outputs{logits};
    c.loss(outputs, tensor_of(q)).backward();
    const float* gradient = logits.grad().const_data_ptr<float>();
    for (std::size_t j = 0; j < z.size(); ++j) {
      auto up = z, down = z;
      up[j] += kStep;
      down[j] -= kStep;
      const double expected = (c.naive(up, q) - c.naive(down, q)) / (2.0 * kStep);
      EXPECT_NEAR(static_cast<double>(gradient[j]), expected, 2e-6 + 1e-5 * std::abs(expected))
          << c.name << ", logit " << j;
    }
  }
}

TEST(DistillationLosses, KlAndLogitDistanceAreZeroWhereTheStudentAgrees) {
  const auto z = some_logits(8);
  EXPECT_NEAR(value(kl_divergence(3.0), z, softmax_rows(z, 3.0)), 0.0, 1e-6);
  EXPECT_NEAR(value(logit_distance(), z, softmax_rows(z, 1.0)), 0.0, 1e-6);
}

TEST(DistillationLosses, AreFoundByName) {
  EXPECT_THAT(distillation_loss_names(),
              testing::ElementsAre("kl", "hard-label", "logit-distance"));
  const auto z = some_logits(9), q = softmax_rows(some_logits(109), 1.0);
  EXPECT_EQ(value(make_distillation_loss("kl", 2.0), z, q), value(kl_divergence(2.0), z, q));
  EXPECT_EQ(value(make_distillation_loss("hard-label", 2.0), z, q), value(hard_label(), z, q));
  EXPECT_EQ(value(make_distillation_loss("logit-distance", 2.0), z, q),
            value(logit_distance(), z, q));
  try {
    make_distillation_loss("mse", 1.0);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("kl, hard-label, logit-distance"));
  }
}

TEST(DistillationLosses, RefuseWhatIsNotTheirs) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(kl_divergence(bad), std::invalid_argument);
  }
  const at::Tensor logits = tensor_of(some_logits(1));
  for (const Case& c : cases()) {
    EXPECT_THROW(c.loss(std::array{logits}, logits.narrow(1, 0, 3)), std::invalid_argument);
    EXPECT_THROW(c.loss({}, logits), std::invalid_argument);
  }
}

}  // namespace
}  // namespace fedstill
