#include "distillation/distiller.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>

#include "model/model_file.h"
#include "model/random.h"
#include "tests/support/temporary_folder.h"
#include "training/predict.h"
#include "training/threads.h"

namespace fedstill {
namespace {

constexpr std::int64_t kImages = 128, kClasses = 4;
const ImageShape kShape{.channels = 1, .height = 16, .width = 16};

// Every image is bright in one quarter, so there is something to agree on.
UnlabeledPool quarters() {
  Images images{.shape = kShape, .pixels = {}};
  UnlabeledPool pool;
  for (std::int64_t i = 0; i < kImages; ++i) {
    pool.images.indices.push_back(i);
    for (std::int64_t y = 0; y < 16; ++y) {
      for (std::int64_t x = 0; x < 16; ++x) {
        const std::uint64_t noise =
            random_below(1, static_cast<std::uint64_t>((i * 16 + y) * 16 + x), 100);
        const bool bright = (y / 8) * 2 + x / 8 == i % 4;
        images.pixels.push_back(static_cast<std::uint8_t>(noise + (bright ? 120 : 0)));
      }
    }
  }
  pool.images.images = std::make_shared<const Images>(std::move(images));
  return pool;
}

std::vector<std::int32_t> quarters_of_the_pool() {
  std::vector<std::int32_t> out;
  for (std::int64_t i = 0; i < kImages; ++i) out.push_back(static_cast<std::int32_t>(i % 4));
  return out;
}

// A teacher that knows the quarter and is not quite sure.
at::Tensor teacher() {
  at::Tensor out = at::full({kImages, kClasses}, 0.05F);
  for (std::int64_t i = 0; i < kImages; ++i) {
    out.mutable_data_ptr<float>()[i * kClasses + i % 4] = 0.85F;
  }
  return out;
}

class DistillerTest : public testing::Test {
 protected:
  DistillerTest() {
    options_.student = "mlp";
    options_.batch = 32;
    options_.fit.epochs = 4;
    options_.seed = 7;
    set_thread_count(1);
  }

  // Share of the pool on which the model's class is the teacher's.
  double agreement(const Graph& graph) const {
    const auto outputs =
        predict(graph, std::vector<std::string>{"logits"}, pool_.images, normalisation_);
    return accuracy(outputs[0], quarters_of_the_pool());
  }
  Distilled run() const { return distill(pool_, soft_labels_, normalisation_, options_); }

  UnlabeledPool pool_ = quarters();
  Normalisation normalisation_{.mean = {0.3F}, .deviation = {0.3F}};
  at::Tensor soft_labels_ = teacher();
  DistillOptions options_;
  TemporaryFolder folder_;
  std::filesystem::path checkpoint_ = folder_.path() / "distiller.checkpoint";
};

TEST_F(DistillerTest, TheStudentLearnsToAgreeWithTheTeacher) {
  options_.fit.epochs = 0;
  const double before = agreement(run().student);
  options_.fit.epochs = 6;
  const Distilled distilled = run();
  const double after = agreement(distilled.student);
  EXPECT_LT(before, 0.6);
  EXPECT_GT(after, 0.95);
  ASSERT_EQ(distilled.report.epoch_losses.size(), 6U);
  EXPECT_LT(distilled.report.epoch_losses.back(), 0.5 * distilled.report.epoch_losses.front());
}

TEST_F(DistillerTest, AStudentGoesOn) {
  const Graph before = run().student;
  options_.start = before;
  options_.fit.epochs = 0;
  EXPECT_EQ(model_hash(run().student), model_hash(before));
  options_.fit.epochs = 1;
  const Distilled further = run();
  EXPECT_GT(agreement(further.student), agreement(before) - 0.05);
  options_.start.reset();
  EXPECT_LT(further.report.epoch_losses.front(), run().report.epoch_losses.front());
}

TEST_F(DistillerTest, EveryLossLearns) {
  options_.fit.epochs = 6;
  for (const char* loss : {"kl", "hard-label", "logit-distance"}) {
    options_.loss = loss;
    EXPECT_GT(agreement(run().student), 0.95) << loss;
  }
}

TEST_F(DistillerTest, ASeedGivesTheSameBits) {
  options_.student = "cnn3";
  options_.fit.epochs = 1;
  options_.augmentation.flip = true;
  const std::string hash = model_hash(run().student);
  EXPECT_EQ(model_hash(run().student), hash);
  options_.seed += 1;
  EXPECT_NE(model_hash(run().student), hash);
}

TEST_F(DistillerTest, ResumingFromACheckpointGivesTheSameBits) {
  const std::string uninterrupted = model_hash(run().student);
  options_.fit.checkpoint = checkpoint_;
  std::atomic<bool> stop{false};
  options_.fit.stop = &stop;
  options_.fit.on_event = [&](const FitEvent& event) {
    stop = event.step == 13;
  };  // of 4 · (kImages / 32)
  EXPECT_THROW(run(), Stopped);
  ASSERT_TRUE(std::filesystem::exists(checkpoint_));
  stop = false;
  options_.fit.on_event = {};
  const Distilled resumed = run();
  EXPECT_EQ(model_hash(resumed.student), uninterrupted);
  EXPECT_EQ(resumed.report.epoch_losses.size(), 4U);
  EXPECT_EQ(resumed.report.steps, 4 * (kImages / 32) - 13);
}

TEST_F(DistillerTest, DefaultsAreFifteenEpochsOfAdam) {
  const DistillOptions defaults;
  EXPECT_EQ(defaults.fit.epochs, 15);
  EXPECT_EQ(defaults.fit.optimizer.name, "adam");
  EXPECT_EQ(defaults.fit.optimizer.learning_rate, 1e-3);
  EXPECT_EQ(defaults.fit.schedule.name, "cosine");
}

TEST_F(DistillerTest, RefusesWhatAreNotSoftLabelsOfThePool) {
  const at::Tensor good = soft_labels_;
  const auto refused = [&](const at::Tensor& labels) {
    EXPECT_THROW(distill(pool_, labels, normalisation_, options_), std::invalid_argument);
  };
  refused({});
  refused(good.narrow(0, 0, kImages - 1));
  refused(good[0]);
  refused(good.to(at::kDouble));
  refused(good - 0.5);
  refused(good / 0.0);
  options_.student = "resnet1001";
  refused(good);
  options_.student = "mlp";
  options_.loss = "unknown";
  refused(good);
}

}  // namespace
}  // namespace fedstill
