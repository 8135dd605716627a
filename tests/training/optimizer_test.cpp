#include "training/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "toy.h"

namespace fedstill {
namespace {

using tests::random_tensor;
using tests::small_net;
using tests::values;

void set_gradients(Executor& executor, std::uint64_t seed) {
  for (auto& p : executor.parameters()) {
    if (!p.trained) continue;
    // Deliberately row-major, so that a channels-last parameter meets a gradient laid out
    // otherwise.
    p.value.mutable_grad() =
        random_tensor(p.value.sizes().vec(), derive_key(seed, p.value.numel()));
  }
}

// One scalar under the textbook rules, in double.
struct Naive {
  OptimizerOptions options;
  double value = 0, m = 0, v = 0;
  int t = 0;

  void step(double gradient, bool decays, double factor) {
    const double rate = options.learning_rate * factor;
    const double decay = decays ? options.weight_decay : 0.0;
    ++t;
    if (options.name == "sgd") {
      gradient += decay * value;
      m = options.momentum * m + gradient;
      value -= rate * (options.nesterov ? gradient + options.momentum * m : m);
      return;
    }
    if (options.name == "adamw") value -= rate * decay * value;
    if (options.name == "adam") gradient += decay * value;
    m = options.beta1 * m + (1 - options.beta1) * gradient;
    v = options.beta2 * v + (1 - options.beta2) * gradient * gradient;
    const double mean = m / (1 - std::pow(options.beta1, t));
    const double square = v / (1 - std::pow(options.beta2, t));
    value -= rate * mean / (std::sqrt(square) + options.epsilon);
  }
};

class Optimizers : public ::testing::TestWithParam<OptimizerOptions> {};

TEST_P(Optimizers, FollowTheTextbookAndSpareBiasAndBatchNorm) {
  for (const bool channels_last : {false, true}) {
    Executor executor(small_net(), {.channels_last = channels_last});
    std::vector<std::vector<Naive>> expected;
    for (const auto& p : executor.parameters()) {
      auto& column = expected.emplace_back();
      for (const float value : values(p.value)) column.push_back({GetParam(), value});
    }
    const auto optimizer = make_optimizer(GetParam(), executor.parameters());
    for (const double factor : {1.0, 0.5, 0.25}) {
      set_gradients(executor, static_cast<std::uint64_t>(factor * 100));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto& p = executor.parameters()[i];
        if (!p.trained) continue;
        const auto gradient = values(p.value.grad());
        for (std::size_t j = 0; j < gradient.size(); ++j) {
          expected[i][j].step(gradient[j], p.decays, factor);
        }
      }
      optimizer->step(factor);
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const auto& p = executor.parameters()[i];
      const auto found = values(p.value);
      for (std::size_t j = 0; j < found.size(); ++j) {
        ASSERT_NEAR(found[j], expected[i][j].value, 2e-5) << p.name << " " << j;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Optimizers,
    ::testing::Values(OptimizerOptions{.name = "sgd", .momentum = 0.0},
                      OptimizerOptions{.name = "sgd", .weight_decay = 0.1},
                      OptimizerOptions{.name = "sgd", .nesterov = true, .weight_decay = 0.1},
                      OptimizerOptions{.name = "adam", .learning_rate = 0.01, .weight_decay = 0.1},
                      OptimizerOptions{
                          .name = "adamw", .learning_rate = 0.01, .weight_decay = 0.1}),
    [](const auto& test) { return test.param.name + std::to_string(test.index); });

TEST(Optimizer, LeavesParametersWithoutGradientAlone) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    const Graph graph = small_net();
    Executor executor(graph);
    const auto optimizer =
        make_optimizer({.name = name, .weight_decay = 0.1}, executor.parameters());
    auto& first = executor.parameters()[0];
    first.value.mutable_grad() = at::zeros_like(first.value.detach()).fill_(1.0F);
    optimizer->step(1.0);
    optimizer->zero_gradients();
    EXPECT_FALSE(first.value.grad().defined());
    Graph after = executor.snapshot();
    EXPECT_NE(after.tensors.at(first.name), graph.tensors.at(first.name));
    after.tensors.at(first.name) = graph.tensors.at(first.name);
    EXPECT_EQ(after, graph);
  }
}

TEST(Optimizer, StateCarriesEverything) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    Executor through(small_net()), resumed(small_net());
    const OptimizerOptions options{.name = name, .learning_rate = 0.01, .weight_decay = 0.1};
    const auto a = make_optimizer(options, through.parameters());
    set_gradients(through, 1);
    a->step(1.0);
    const auto b = make_optimizer(options, resumed.parameters());
    {
      const at::NoGradGuard no_grad;
      for (std::size_t i = 0; i < through.parameters().size(); ++i) {
        resumed.parameters()[i].value.copy_(through.parameters()[i].value);
      }
      const auto from = a->state();
      const auto to = b->state();
      ASSERT_EQ(from.size(), to.size());
      for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
    }
    set_gradients(through, 2);
    set_gradients(resumed, 2);
    a->step(0.5);
    b->step(0.5);
    EXPECT_EQ(through.snapshot(), resumed.snapshot()) << name;
  }
}

TEST(Optimizer, RefusesUnknownNames) {
  Executor executor(small_net());
  EXPECT_THROW(make_optimizer({.name = "lion"}, executor.parameters()), std::invalid_argument);
  for (const std::int64_t warm_up_steps : {0, 5}) {  // before warm-up ends, too
    EXPECT_THROW(schedule_factor({.name = "linear", .warm_up_steps = warm_up_steps}, 0, 10),
                 std::invalid_argument);
  }
}

TEST(Schedule, WarmsUpLinearlyThenFollowsTheCosine) {
  const ScheduleOptions options{.name = "cosine", .warm_up_steps = 4};
  EXPECT_DOUBLE_EQ(schedule_factor(options, 0, 24), 0.25);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 3, 24), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 4, 24), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 14, 24), 0.5);
  EXPECT_NEAR(schedule_factor(options, 24, 24), 0.0, 1e-12);
}

TEST(Schedule, StepsDownAtTheFractions) {
  const ScheduleOptions options{.name = "step"};
  EXPECT_DOUBLE_EQ(schedule_factor(options, 9, 20), 1.0);
  EXPECT_DOUBLE_EQ(schedule_factor(options, 10, 20), 0.1);
  EXPECT_NEAR(schedule_factor(options, 15, 20), 0.01, 1e-15);
  EXPECT_DOUBLE_EQ(schedule_factor({.name = "constant"}, 19, 20), 1.0);
}

TEST(ClipGradients, ScalesTheJointNormDownButNeverUp) {
  for (const double limit : {0.5, 1e6}) {
    Executor executor(small_net());
    set_gradients(executor, 3);
    double sum = 0.0, after = 0.0;
    for (const auto& p : executor.parameters()) {
      if (p.trained) sum += p.value.grad().square().sum().item<double>();
    }
    const double norm = clip_gradients(executor.parameters(), limit);
    for (const auto& p : executor.parameters()) {
      if (p.trained) after += p.value.grad().square().sum().item<double>();
    }
    EXPECT_NEAR(norm, std::sqrt(sum), 1e-4 * norm);
    EXPECT_NEAR(std::sqrt(after), std::min(limit, norm), 1e-4 * norm);
  }
}

}  // namespace
}  // namespace fedstill
