// What training on a device must show, whichever it is.
#include "tests/training/on_device.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "collective/local/local.h"
#include "data/whole_view.h"
#include "model/zoo.h"
#include "toy.h"
#include "training/device.h"
#include "training/fit.h"
#include "training/image_loader.h"
#include "training/losses.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using tests::ToyBatches;

class OnDevice : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tested_ = device_under_test();
    set_thread_count(1);  // many small steps beside other tests
  }
  void SetUp() override {
    if (!tested_.absence.empty()) GTEST_SKIP() << tested_.absence;
  }

  static Graph plain_net() {
    GraphBuilder build("plain", {2, 8, 8}, 3);
    const int node = build.conv_bn_relu(0, {.out = 4});
    return std::move(build).finish(build.linear(build.unary(node, Op::kGlobalAveragePool), 3));
  }
  static FitOptions options(const char* optimizer = "adam") {
    FitOptions options{.epochs = 4, .clip_norm = 1.0, .seed = 5};
    options.optimizer = {.name = optimizer, .learning_rate = 0.01, .weight_decay = 1e-3};
    return options;
  }
  struct Outcome {
    Graph graph;
    FitReport report;
  };
  static Outcome run(const Graph& graph, const FitOptions& options, at::Device device,
                     bool bf16 = false) {
    Executor executor(graph, {.bf16 = bf16, .device = device});
    const int logits = graph.output("logits");
    ToyBatches source;
    FitReport report = fit(executor, std::span(&logits, 1), source, cross_entropy(), options);
    return {executor.snapshot(), std::move(report)};
  }
  static void expect_near(const Graph& a, const Graph& b, float tolerance) {
    for (const auto& [name, tensor] : a.tensors) {
      const auto left = tensor.values<float>(), right = b.tensors.at(name).values<float>();
      for (std::size_t i = 0; i < left.size(); ++i) {
        ASSERT_NEAR(left[i], right[i], tolerance) << name;
      }
    }
  }
  static ImageView some_images(std::int64_t count) {
    auto images = std::make_shared<Images>();
    images->shape = {.channels = 3, .height = 32, .width = 32};
    images->pixels.resize(static_cast<std::size_t>(count * images->pixels_per_image()));
    for (std::size_t i = 0; i < images->pixels.size(); ++i) {
      images->pixels[i] = static_cast<std::uint8_t>(random_bits(4, i));
    }
    return whole(std::move(images));
  }

  static inline TestedDevice tested_;
};

TEST_F(OnDevice, LoadsTheSameImagesAsTheHost) {
  const ImageView images = some_images(40);
  LoaderOptions there{
      {{0.4F, 0.5F, 0.6F}, {0.2F, 0.25F, 0.3F}}, {2, true, 0.5F}, true, tested_.device};
  LoaderOptions here = there;
  here.device = at::kCPU;
  const std::vector<std::int64_t> rows{3, 39, 3, 17};
  const at::Tensor a = empty_images(4, images.images->shape, there);
  const at::Tensor b = empty_images(4, images.images->shape, here);
  make_image_loader(images, there)->load(rows, 7, 2, a);
  make_image_loader(images, here)->load(rows, 7, 2, b);
  EXPECT_TRUE(at::equal(a.cpu(), b));
}

TEST_F(OnDevice, PredictsAsTheHostDoes) {
  const ImageView images = some_images(70);
  const Normalisation plain{{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}};
  const std::vector<std::string> outputs{"logits"};
  for (const char* name : {"mlp", "lenet5", "resnet8", "mobilenetv2-small"}) {
    const Graph graph = make_model(name, images.images->shape, 10, 1);
    const auto there =
        predict(graph, outputs, images, plain, {.block = 32, .device = tested_.device});
    const auto here = predict(graph, outputs, images, plain, {.block = 32});
    EXPECT_TRUE(at::allclose(there[0], here[0], 2e-2, 2e-2)) << name;  // TF32 convolutions
  }
}

TEST_F(OnDevice, FitsAsTheHostDoesRecordedOrNot) {
  for (const char* optimizer : {"sgd", "adam", "adamw"}) {
    FitOptions o = options(optimizer);
    const Outcome here = run(plain_net(), o, at::kCPU),
                  recorded = run(plain_net(), o, tested_.device);
    EXPECT_EQ(recorded.report.replayed, tested_.records) << recorded.report.refusal;
    EXPECT_EQ(recorded.report.refusal.empty(), tested_.records);
    o.record = false;
    const Outcome plain = run(plain_net(), o, tested_.device);
    EXPECT_FALSE(plain.report.replayed);
    expect_near(recorded.graph, plain.graph, 1e-3F);
    expect_near(recorded.graph, here.graph, 2e-2F);
    EXPECT_NEAR(recorded.report.epoch_losses.back(), here.report.epoch_losses.back(), 1e-2);
  }
}

// By SGD: Adam would make whole steps of gradients that are little but rounding.
TEST_F(OnDevice, FitsInBfloat16AsTheHostDoesRecordedOrNot) {
  FitOptions o = options("sgd");
  const Outcome exact = run(plain_net(), o, at::kCPU), here = run(plain_net(), o, at::kCPU, true),
                recorded = run(plain_net(), o, tested_.device, true);
  EXPECT_EQ(recorded.report.replayed, tested_.records) << recorded.report.refusal;
  o.record = false;
  const Outcome plain = run(plain_net(), o, tested_.device, true);
  EXPECT_NE(here.graph, exact.graph);  // it is not float32 by mistake
  EXPECT_NE(plain.graph, exact.graph);
  expect_near(recorded.graph, plain.graph, 1e-2F);
  expect_near(recorded.graph, here.graph, 2e-2F);
  EXPECT_NEAR(recorded.report.epoch_losses.back(), here.report.epoch_losses.back(), 5e-2);
}

// Nothing of it is recorded.
TEST_F(OnDevice, AccumulatesBatchesAsTheHostDoes) {
  FitOptions o = options();
  o.accumulate = 2;
  const Outcome here = run(plain_net(), o, at::kCPU), there = run(plain_net(), o, tested_.device);
  EXPECT_FALSE(there.report.replayed);
  EXPECT_EQ(there.report.refusal, "");
  EXPECT_EQ(there.report.steps, here.report.steps);
  expect_near(there.graph, here.graph, 2e-2F);
  EXPECT_NEAR(there.report.epoch_losses.back(), here.report.epoch_losses.back(), 1e-2);
  local::run_ranks(1, [&](Collective& group) {
    o.parallel = {.group = &group, .even_alone = true};
    expect_near(run(plain_net(), o, tested_.device).graph, there.graph, 1e-3F);
  });
}

TEST_F(OnDevice, FitsWithDropoutStepByStep) {
  const Outcome outcome = run(tests::small_net(), options(), tested_.device);
  EXPECT_FALSE(outcome.report.replayed);
  EXPECT_EQ(outcome.report.refusal, "");
  EXPECT_TRUE(std::isfinite(outcome.report.epoch_losses.back()));
}

TEST_F(OnDevice, FindsALossThatIsNotFinite) {
  FitOptions o = options("sgd");
  o.clip_norm = 0.0;
  o.optimizer.learning_rate = 1e30;
  EXPECT_THROW(run(plain_net(), o, tested_.device), DivergedError);
}

TEST_F(OnDevice, ManyFitsAtOnceDoNotMeet) {
  const Graph alone = run(plain_net(), options(), tested_.device).graph;
  std::vector<Outcome> outcomes(6);
  {
    std::vector<std::jthread> threads;
    for (Outcome& outcome : outcomes) {
      threads.emplace_back([&outcome] { outcome = run(plain_net(), options(), tested_.device); });
    }
  }
  for (const Outcome& outcome : outcomes) expect_near(outcome.graph, alone, 1e-3F);
}

// Of one rank, so that the result is known: by way of the host, and through the device's own group.
TEST_F(OnDevice, ExchangesGradientsWithItself) {
  const Graph alone = run(plain_net(), options(), tested_.device).graph;
  local::run_ranks(1, [&](Collective& group) {
    const auto own = tested_.group ? tested_.group(group) : nullptr;
    FitOptions o = options();
    o.parallel.even_alone = true;
    for (Collective* const exchange : {&group, own.get()}) {
      if (exchange == nullptr) continue;
      o.parallel.group = exchange;
      o.parallel.wire = exchange == &group ? at::Device(at::kCPU) : tested_.device;
      for (const bool shared : {false, true}) {
        for (const bool bf16 : {false, true}) {
          o.parallel.shared_batch_norm = shared;
          o.parallel.bf16 = bf16;
          expect_near(run(plain_net(), o, tested_.device).graph, alone, bf16 ? 3e-2F : 1e-3F);
        }
      }
    }
  });
}

}  // namespace
}  // namespace fedstill
