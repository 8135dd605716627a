#include "client/local_training.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>

#include "data/data_error.h"
#include "model/model_file.h"
#include "tests/client/images.h"
#include "tests/support/temporary_folder.h"
#include "training/predict.h"

namespace fedstill {
namespace {

LocalOptions few_steps(const std::string& architecture = "lenet5") {
  LocalOptions options;
  options.architecture = architecture;
  options.epochs = 1;
  options.minimum_steps = 5;
  options.batch = 32;
  options.warm_up_steps = 2;
  options.seed = 3;
  return options;
}

double accuracy_on(const Graph& model, const Shard& shard) {
  const std::array<std::string, 1> wanted{"logits"};
  return accuracy(predict(model, wanted, shard.images, some_normalisation()).front(), shard.labels);
}

TEST(LocalTraining, LearnsTheShard) {
  LocalOptions options = few_steps("cnn3");
  options.minimum_steps = 60;
  const Shard shard = shard_of({0, 1, 2, 3}, 0, 400);
  const LocalResult result = train_locally(shard, kClasses, some_normalisation(), options);
  EXPECT_GE(result.report.steps, 60);
  EXPECT_LT(result.report.epoch_losses.back(), result.report.epoch_losses.front());
  EXPECT_GT(accuracy_on(result.model, shard_of({0, 1, 2, 3}, 1)), 0.6);
  EXPECT_EQ(result.model.architecture, "cnn3");
  EXPECT_EQ(result.model.outputs.size(), 1U);
}

TEST(LocalTraining, TheSameSeedGivesTheSameModel) {
  const Shard shard = shard_of({0, 1, 2}, 0, 100);
  const auto hash = [&](std::uint64_t seed) {
    LocalOptions options = few_steps();
    options.seed = seed;
    options.augmentation.flip = true;
    return model_hash(train_locally(shard, kClasses, some_normalisation(), options).model);
  };
  EXPECT_EQ(hash(3), hash(3));
  EXPECT_NE(hash(3), hash(4));
}

TEST(LocalTraining, AShardWithOneClassOrOneImageTrains) {
  for (const std::int64_t images : {1, 50}) {
    const Shard shard = shard_of({2}, 0, images);
    for (const char* architecture : {"lenet5", "cnn3"}) {
      const LocalResult result =
          train_locally(shard, kClasses, some_normalisation(), few_steps(architecture));
      EXPECT_GE(result.report.steps, 5);
      EXPECT_EQ(infer_shapes(result.model).back(), SampleShape{kClasses});
    }
  }
}

// Soft labels that know the truth about the pool.
Lesson lesson_about(const Shard& pool, const Graph& student) {
  Lesson lesson{student, Tensor(DType::kF32, {pool.images.count(), kClasses})};
  const auto values = lesson.soft_labels.values<float>();
  for (std::size_t i = 0; i < pool.labels.size(); ++i) {
    values[i * kClasses + static_cast<std::size_t>(pool.labels[i])] = 1.0F;
  }
  return lesson;
}

TEST(LocalTraining, LaterRoundsKeepWhatOnlyThePoolShows) {
  const Shard pool = shard_of({0, 1, 2, 3}, 1, 200), own = shard_of({0}, 0, 100);
  LocalOptions options = few_steps("cnn3");
  options.minimum_steps = 60;
  const Graph student =
      train_locally(shard_of({0, 1, 2, 3}, 0, 400), kClasses, some_normalisation(), options).model;
  const Lesson lesson = lesson_about(pool, student);
  const Shard test = shard_of({0, 1, 2, 3}, 1);
  const auto after = [&](double weight) {
    const LocalResult result = train_further(lesson, own, pool.images, some_normalisation(),
                                             options, {.weight = weight, .batch = 32});
    EXPECT_GE(result.report.steps, 60);
    return accuracy_on(result.model, test);
  };
  EXPECT_LT(after(0.0), accuracy_on(student, test) - 0.2);  // it knows one class alone
  EXPECT_GT(after(1.0), accuracy_on(student, test) - 0.1);
}

TEST(LocalTraining, LaterRoundsAreTheSameForTheSameSeedAndAfterAStop) {
  const Shard pool = shard_of({0, 1, 2, 3}, 1, 100), own = shard_of({0, 2}, 0, 96);
  LocalOptions options = few_steps();
  options.epochs = 3;
  const Graph student = train_locally(own, kClasses, some_normalisation(), options).model;
  const Lesson lesson = lesson_about(pool, student);
  const auto train = [&](const FitOptions& run = {}) {
    return model_hash(
        train_further(lesson, own, pool.images, some_normalisation(), options, {}, run).model);
  };
  const std::string once = train();
  EXPECT_EQ(train(), once);
  TemporaryFolder folder;
  FitOptions run;
  run.checkpoint = folder.path() / "body.checkpoint";
  std::atomic<bool> stop = false;
  run.stop = &stop;
  run.on_event = [&](const FitEvent& event) { stop = event.step == 4; };
  EXPECT_THROW(train(run), Stopped);
  stop = false;
  run.on_event = {};
  EXPECT_EQ(train(run), once);
  options.seed = 9;
  EXPECT_NE(train(), once);
}

TEST(LocalTraining, ALessonAboutAnotherPoolIsRefused) {
  const Shard pool = shard_of({0, 1, 2, 3}, 1, 100), own = shard_of({0, 2}, 0, 50);
  const Graph student = train_locally(own, kClasses, some_normalisation(), few_steps()).model;
  const Lesson lesson = lesson_about(shard_of({0, 1}, 1, 60), student);
  EXPECT_THROW(train_further(lesson, own, pool.images, some_normalisation(), few_steps(), {}),
               std::invalid_argument);
}

TEST(LocalTraining, BadShardsAreRefused) {
  const LocalOptions options = few_steps();
  EXPECT_THROW(train_locally({}, kClasses, some_normalisation(), options), DataError);
  EXPECT_THROW(train_locally(shard_of({}, 0), kClasses, some_normalisation(), options), DataError);
  Shard shard = shard_of({0, 1}, 0, 50);
  EXPECT_THROW(train_locally(shard, 1, some_normalisation(), options), DataError);
  shard.labels[0] = -1;
  EXPECT_THROW(train_locally(shard, kClasses, some_normalisation(), options), DataError);
  shard.labels.pop_back();
  EXPECT_THROW(train_locally(shard, kClasses, some_normalisation(), options),
               std::invalid_argument);
}

TEST(LocalTraining, MayGoOnFromANetworkOfItsOwn) {
  const Shard shard = shard_of({0, 1, 2, 3}, 0, 100);
  const auto start =
      std::make_shared<const Graph>(make_model("mlp", shard.images.images->shape, kClasses, 77));
  LocalOptions options = few_steps("lenet5");
  options.start = start;
  const Graph trained = train_locally(shard, kClasses, some_normalisation(), options).model;
  EXPECT_EQ(trained.architecture, "mlp");
  EXPECT_NE(model_hash(trained), model_hash(*start));
  options.learning_rate = 0;  // a step that goes nowhere shows where it began
  const Graph kept = train_locally(shard, kClasses, some_normalisation(), options).model;
  EXPECT_EQ(model_hash(kept), model_hash(*start));
  EXPECT_THROW(train_locally(shard, kClasses + 1, some_normalisation(), options), DataError);
  const Dataset small = make_synthetic({1, 8, 8}, 2, 20, 1, 1).train;
  EXPECT_THROW(train_locally(make_shard(small, {0, 1}), kClasses, some_normalisation(), options),
               DataError);
}

TEST(LocalTraining, AnUnknownOrTooDeepArchitectureIsAClearError) {
  const Shard shard = shard_of({0, 1}, 0, 50);
  EXPECT_THROW(train_locally(shard, kClasses, some_normalisation(), few_steps("resnet9000")),
               std::invalid_argument);
  const Dataset small = make_synthetic({1, 8, 8}, 2, 20, 1, 1).train;
  EXPECT_THROW(
      train_locally(make_shard(small, {0, 1, 2}), 2, some_normalisation(), few_steps("cnn3")),
      std::invalid_argument);
}

TEST(LocalTraining, StopAndDivergenceReachTheCaller) {
  const Shard shard = shard_of({0, 1}, 0, 50);
  const std::atomic<bool> stop = true;
  FitOptions run;
  run.stop = &stop;
  EXPECT_THROW(train_locally(shard, kClasses, some_normalisation(), few_steps(), run), Stopped);
  LocalOptions wild = few_steps();
  wild.learning_rate = 1e30;
  wild.minimum_steps = 50;
  wild.warm_up_steps = 0;
  EXPECT_THROW(train_locally(shard, kClasses, some_normalisation(), wild), DivergedError);
}

TEST(LocalTraining, EventsComeFromTheFit) {
  std::int64_t steps = 0;
  FitOptions run;
  run.on_event = [&](const FitEvent& event) { steps = event.step; };
  const auto result =
      train_locally(shard_of({0, 1}, 0, 64), kClasses, some_normalisation(), few_steps(), run);
  EXPECT_GT(steps, 0);
  EXPECT_GE(result.report.steps, steps);
}

}  // namespace
}  // namespace fedstill
