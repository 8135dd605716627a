#include "training/recorded_step.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "model/builder.h"
#include "toy.h"
#include "training/device_step.h"
#include "training/losses.h"

namespace fedstill {
namespace {

using tests::ToyBatches;
using tests::values;

// A graph as the cpu can have one: it keeps the work and does it again. Like the device's it runs
// nothing while it records, so that work which depends on more than its memory is found out.
class KeptWork : public DeviceGraph {
 public:
  explicit KeptWork(int& replays) : replays_(replays) {}
  void record(const std::function<void()>& work) override { work_ = work; }
  void replay() override {
    ++replays_;
    work_();
  }

 private:
  std::function<void()> work_;
  int& replays_;
};

class RefusedWork : public DeviceGraph {
 public:
  void record(const std::function<void()>& work) override {
    work();
    throw std::runtime_error("operation not permitted when stream is capturing\nand more");
  }
  void replay() override { FAIL() << "nothing was recorded"; }
};

class RecordedSteps : public ::testing::Test {
 protected:
  static Graph plain_net() {
    GraphBuilder build("plain", {2, 8, 8}, 3);
    const int node = build.conv_bn_relu(0, {.out = 4});
    return std::move(build).finish(build.linear(build.unary(node, Op::kGlobalAveragePool), 3));
  }

  struct Outcome {
    Graph graph;
    std::vector<double> losses;
    bool replayed = false;
    std::string refusal;
  };
  // Twelve steps of a DeviceStep, two looks.
  static Outcome train(const OptimizerOptions& options, RecordedStep::MakeGraph make) {
    Executor executor(plain_net());
    const auto optimizer = make_optimizer(options, executor.parameters(), /*recordable=*/true);
    const Loss loss = cross_entropy();
    const int logits = executor.graph().output("logits");
    DeviceStep step(executor, std::span(&logits, 1), loss, *optimizer, /*clip_norm=*/0.5,
                    std::move(make));
    ToyBatches source(12);
    Outcome out;
    for (std::int64_t i = 0; i < 12; ++i) {
      step.run(source.batch(0, i), 1.0 / static_cast<double>(i + 1), /*dropout_key=*/0);
      if (i % 6 == 5) out.losses.push_back(step.take_loss_sum());
    }
    out.graph = executor.snapshot();
    out.replayed = step.recorded().replays();
    out.refusal = step.recorded().refusal();
    return out;
  }

  // The same by the loop that looks at every value.
  static Outcome reference(const OptimizerOptions& options) {
    Executor executor(plain_net());
    const auto optimizer = make_optimizer(options, executor.parameters());
    const int logits = executor.graph().output("logits");
    ToyBatches source(12);
    Outcome out;
    double sum = 0.0;
    for (std::int64_t i = 0; i < 12; ++i) {
      const Batch batch = source.batch(0, i);
      const std::vector<at::Tensor> outputs{executor.run(batch.images, logits, Mode::kTrain)};
      const at::Tensor loss = cross_entropy()(outputs, batch.targets);
      sum += double{loss.item<float>()};
      loss.backward();
      clip_gradients(executor.parameters(), 0.5);
      optimizer->step(1.0 / static_cast<double>(i + 1));
      optimizer->zero_gradients();
      if (i % 6 == 5) out.losses.push_back(std::exchange(sum, 0.0));
    }
    out.graph = executor.snapshot();
    return out;
  }

  static void expect_near(const Outcome& a, const Outcome& b) {
    for (const auto& [name, tensor] : a.graph.tensors) {
      const auto left = tensor.values<float>(), right = b.graph.tensors.at(name).values<float>();
      for (std::size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 1e-5) << name;
    }
    ASSERT_EQ(a.losses.size(), b.losses.size());
    for (std::size_t i = 0; i < a.losses.size(); ++i) EXPECT_NEAR(a.losses[i], b.losses[i], 1e-5);
  }
};

TEST_F(RecordedSteps, ReplayWhatTheStepsWouldHaveDone) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    int replays = 0;
    const OptimizerOptions options{.name = name, .learning_rate = 0.02, .weight_decay = 0.01};
    const Outcome as_they_are = train(options, {});
    const Outcome replayed = train(options, [&] { return std::make_unique<KeptWork>(replays); });
    EXPECT_EQ(as_they_are.graph, replayed.graph) << name;
    EXPECT_EQ(as_they_are.losses, replayed.losses);
    EXPECT_FALSE(as_they_are.replayed);
    EXPECT_TRUE(replayed.replayed);
    EXPECT_EQ(replays, 12 - RecordedStep::kWarmUp);
    expect_near(reference(options), replayed);  // clipping sums the norms in another order
  }
}

TEST_F(RecordedSteps, GoOnAsTheyBeganWhereRecordingFails) {
  const OptimizerOptions options{.name = "adam", .learning_rate = 0.02};
  const Outcome refused = train(options, [] { return std::make_unique<RefusedWork>(); });
  EXPECT_FALSE(refused.replayed);
  EXPECT_EQ(refused.refusal, "operation not permitted when stream is capturing");
  const Outcome without = train(
      options, []() -> std::unique_ptr<DeviceGraph> { throw std::runtime_error("no module"); });
  EXPECT_EQ(without.refusal, "no module");
  EXPECT_EQ(without.graph, train(options, {}).graph);
}

TEST(RecordedStep, ABatchOfAnotherShapeIsNotReplayed) {
  int replays = 0;
  std::vector<std::int64_t> seen;
  RecordedStep step([&](const Batch& batch) { seen.push_back(batch.images.size(0)); },
                    [&] { return std::make_unique<KeptWork>(replays); });
  const auto batch_of = [](std::int64_t images) {
    return Batch{tests::random_tensor({images, 2}, 1), tests::random_tensor({images}, 2)};
  };
  for (const std::int64_t images : {4, 4, 4, 4, 3, 4}) step.run(batch_of(images));
  EXPECT_EQ(seen, (std::vector<std::int64_t>{4, 4, 4, 4, 3, 4}));
  EXPECT_EQ(replays, 2);
}

TEST_F(RecordedSteps, ALossThatIsNotFiniteShowsInTheSum) {
  Executor executor(plain_net());
  const auto optimizer = make_optimizer({.learning_rate = 1e30}, executor.parameters(), true);
  const Loss loss = cross_entropy();
  const int logits = executor.graph().output("logits");
  DeviceStep step(executor, std::span(&logits, 1), loss, *optimizer, 0.0, {});
  ToyBatches source(8);
  for (std::int64_t i = 0; i < 8; ++i) step.run(source.batch(0, i), 1.0, 0);
  EXPECT_FALSE(std::isfinite(step.take_loss_sum()));
}

}  // namespace
}  // namespace fedstill
