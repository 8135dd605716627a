// What a device without a GPU can show of the code that serves one.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/training/far/far_device.h"
#include "toy.h"
#include "training/device.h"
#include "training/fit.h"
#include "training/image_loader.h"
#include "training/losses.h"
#include "training/predict.h"

namespace fedstill {
namespace {

class Far : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { device_ = tests::register_far_device(); }
  static inline at::Device device_ = at::kCPU;
};

TEST_F(Far, AStepOfAFitLooksAtNoValue) {
  const Graph graph = tests::small_net();
  Executor executor(graph, {.device = device_});
  const int logits = graph.output("logits");
  tests::ToyBatches source(100);
  FitOptions options{.epochs = 1, .clip_norm = 1.0};
  std::int64_t before = 0, during = -1;
  options.on_event = [&](const FitEvent& event) {
    if (event.step == 1) before = tests::far_looks();
    if (event.step == 100) during = tests::far_looks() - before;
  };
  fit(executor, std::span(&logits, 1), source, cross_entropy(), options);
  EXPECT_EQ(during, 4);  // at the 32nd, 64th, 96th and last step
}

TEST_F(Far, ACheckpointMovesBetweenDevices) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("fedstill_far_" + std::to_string(::getpid()) + ".checkpoint");
  std::vector<double> losses;  // of the last fit that ended
  const auto train = [&](at::Device device, std::int64_t stop_after) {
    Executor executor(tests::small_net(), {.device = device});
    const int logits = executor.graph().output("logits");
    tests::ToyBatches source;
    std::atomic<bool> stop{false};
    FitOptions options{.epochs = 4, .checkpoint = file, .stop = &stop};
    options.optimizer.name = "adam";
    options.on_event = [&](const FitEvent& event) { stop = event.step == stop_after; };
    try {
      losses = fit(executor, std::span(&logits, 1), source, cross_entropy(), options).epoch_losses;
    } catch (const Stopped&) {
    }
    return executor.snapshot();
  };
  const Graph whole = train(at::kCPU, 0);
  const std::vector<double> whole_losses = losses;
  std::filesystem::remove(file);
  train(device_, 7);
  train(at::kCPU, 10);
  const Graph moved = train(device_, 0);
  std::filesystem::remove(file);
  for (const auto& [name, tensor] : whole.tensors) {
    const auto left = tensor.values<float>(), right = moved.tensors.at(name).values<float>();
    for (std::size_t i = 0; i < left.size(); ++i) ASSERT_NEAR(left[i], right[i], 1e-4) << name;
  }
  ASSERT_EQ(losses.size(), whole_losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], whole_losses[i], 1e-4);
}

TEST_F(Far, ImagesThatDoNotFitAreSentBatchByBatch) {
  auto images = std::make_shared<Images>();
  images->shape = {.channels = 3, .height = 6, .width = 5};
  images->pixels.resize(90 * 10);
  std::iota(images->pixels.begin(), images->pixels.end(), std::uint8_t{0});
  const ImageView view{images, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
  const LoaderOptions options{{{0.1F, 0.2F, 0.3F}, {1, 1, 1}}, {1, true, 0.5F}, true, device_};
  const std::vector<std::int64_t> rows{4, 0, 9};
  std::vector<at::Tensor> loaded;
  for (const std::int64_t free : {4 * 899, 4 * 900}) {
    tests::set_far_memory(free);
    loaded.push_back(empty_images(3, images->shape, options));
    make_image_loader(view, options)->load(rows, 5, 0, loaded.back());
  }
  EXPECT_TRUE(at::equal(loaded[0].cpu(), loaded[1].cpu()));
}

TEST_F(Far, APredictionHoldsTheImagesOfOneBlock) {
  auto images = std::make_shared<Images>();
  images->shape = {.channels = 2, .height = 8, .width = 8};
  images->pixels.resize(20'000 * 128);
  const Graph graph = tests::small_net();
  const std::vector<std::string> outputs{"logits"};
  std::vector<std::int64_t> peaks;
  for (const std::int64_t count : {1'000, 20'000}) {
    ImageView view{images, std::vector<std::int64_t>(static_cast<std::size_t>(count))};
    tests::take_far_peak();
    predict(graph, outputs, view, {{0, 0}, {1, 1}}, {.block = 100, .device = device_});
    peaks.push_back(tests::take_far_peak());
  }
  EXPECT_GT(peaks[0], 100 * 128);
  EXPECT_LT(peaks[1] - peaks[0], 19'000 * 128 / 4);  // what is said of them: 12 bytes an image
}

TEST_F(Far, StreamsAreNotSharedAndRunOut) {
  {
    std::vector<std::unique_ptr<DeviceStream>> all;
    for (int i = 0; i < DeviceStream::kMost; ++i) {
      all.push_back(std::make_unique<DeviceStream>(device_));
    }
    EXPECT_THROW(DeviceStream{device_}, DeviceError);
    while (!all.empty()) all.pop_back();
  }
  EXPECT_NO_THROW(DeviceStream{device_});
}

}  // namespace
}  // namespace fedstill
