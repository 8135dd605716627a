#include "training/threads.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "model/zoo.h"
#include "toy.h"
#include "training/executor.h"
#include "training/fit.h"
#include "training/losses.h"

namespace fedstill {
namespace {

// Other jobs share the machine of a test run; a team of threads that waits for one another would
// spend most of its time spinning.
class OneThread : public ::testing::Environment {
  void SetUp() override { set_thread_count(1); }
};
const auto* const kOneThread = ::testing::AddGlobalTestEnvironment(new OneThread);

Graph trained(std::uint64_t seed) {
  set_thread_count(1);
  Executor executor(tests::small_net(seed));
  tests::ToyBatches source;
  const int logits = executor.graph().output("logits");
  fit(executor, std::span(&logits, 1), source, cross_entropy(), {.epochs = 3, .seed = seed});
  return executor.snapshot();
}

TEST(Threads, RefusesLessThanOne) { EXPECT_THROW(set_thread_count(0), std::invalid_argument); }

TEST(Threads, TuningTheAllocatorLeavesAWorkingHeap) {
  tune_allocator();
  EXPECT_EQ(std::vector<char>(64U << 20U, 'x').back(), 'x');
}

TEST(Threads, WorkersBesideEachOtherGiveTheSameBitsAsOneAfterTheOther) {
  std::array<Graph, 2> beside, after;
  {
    std::jthread a([&] { beside[0] = trained(1); }), b([&] { beside[1] = trained(2); });
  }
  std::jthread([&] { after = {trained(1), trained(2)}; }).join();
  EXPECT_EQ(beside[0], after[0]);
  EXPECT_EQ(beside[1], after[1]);
  EXPECT_NE(beside[0], beside[1]);
}

TEST(Threads, TwoThreadsGiveTheSameBitsEveryTime) {
  const auto run = [] {
    set_thread_count(2);
    Executor executor(make_model("cnn3", {}, 10, 1));
    const int logits = executor.graph().output("logits");
    const at::Tensor images = tests::random_tensor({32, 1, 28, 28}, 1);
    executor.run(images, logits, Mode::kTrain).square().sum().backward();
    const at::Tensor gradient = executor.parameters()[0].value.grad().clone();
    set_thread_count(1);
    return tests::values(gradient);
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace fedstill
