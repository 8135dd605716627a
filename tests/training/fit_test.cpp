#include "training/fit.h"

#include <ATen/ops/full.h>
#include <ATen/ops/mul.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "toy.h"
#include "training/checkpoint.h"
#include "training/losses.h"

namespace fedstill {
namespace {

using tests::small_net;
using tests::ToyBatches;

class Fit : public ::testing::Test {
 protected:
  Fit() {
    folder_ = std::filesystem::temp_directory_path() /
              ("fedstill_fit_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  ~Fit() override { std::filesystem::remove_all(folder_); }

  static FitOptions options(const char* optimizer = "sgd") {
    FitOptions options{.epochs = 4, .seed = 5};
    options.optimizer = {.name = optimizer,
                         .learning_rate = std::string_view(optimizer) == "sgd" ? 0.05 : 0.01,
                         .weight_decay = 1e-3};
    return options;
  }

  struct Outcome {
    Graph graph;
    FitReport report;
  };
  static Outcome run(const FitOptions& options, BatchSource& source) {
    Executor executor(small_net());
    const int logits = executor.graph().output("logits");
    FitReport report = fit(executor, std::span(&logits, 1), source, cross_entropy(), options);
    return {executor.snapshot(), std::move(report)};
  }
  static Outcome run(const FitOptions& options) {
    ToyBatches source;
    return run(options, source);
  }

  // Asks to stop after the given step and expects the fit to obey.
  static void interrupt(FitOptions options, std::int64_t step) {
    std::atomic<bool> stop{false};
    options.stop = &stop;
    options.on_event = [&](const FitEvent& event) { stop = event.step >= step; };
    EXPECT_THROW(run(options), Stopped);
  }

  std::filesystem::path folder_;
};

TEST_F(Fit, LearnsAToyProblem) {
  FitOptions o = options();
  o.epochs = 40;
  const Outcome outcome = run(o);
  EXPECT_EQ(outcome.report.steps, 160);
  EXPECT_EQ(outcome.report.images, 160 * 16);
  ASSERT_EQ(outcome.report.epoch_losses.size(), 40U);
  EXPECT_LT(outcome.report.epoch_losses.back(), 0.25);
  EXPECT_LT(outcome.report.epoch_losses.back(), 0.5 * outcome.report.epoch_losses.front());
}

TEST_F(Fit, SameSeedSameBitsOtherSeedOthers) {
  const Outcome a = run(options()), b = run(options());
  EXPECT_EQ(a.graph, b.graph);
  EXPECT_EQ(a.report.epoch_losses, b.report.epoch_losses);
  FitOptions other = options();
  other.seed = 6;
  EXPECT_NE(a.graph, run(other).graph);
}

TEST_F(Fit, AddsEpochsUpToTheMinimumOfSteps) {
  FitOptions o = options();
  o.epochs = 1;
  o.minimum_steps = 9;
  EXPECT_EQ(run(o).report.steps, 12);
}

TEST_F(Fit, TellsEveryStep) {
  FitOptions o = options();
  std::vector<FitEvent> events;
  o.on_event = [&](const FitEvent& event) { events.push_back(event); };
  const Outcome outcome = run(o);
  ASSERT_EQ(events.size(), 16U);
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(events[i].steps, 16);
    EXPECT_EQ(events[i].images, 16 * (static_cast<std::int64_t>(i) + 1));
    EXPECT_EQ(events[i].end_of_epoch, i % 4 == 3);
  }
  EXPECT_EQ(events[7].loss, outcome.report.epoch_losses[1]);
}

TEST_F(Fit, StoppedAfterAnyStepAndResumedIsTheSameBits) {
  for (const char* optimizer : {"sgd", "adam", "adamw"}) {
    const Outcome whole = run(options(optimizer));
    for (std::int64_t at = 1; at < 16; ++at) {
      FitOptions o = options(optimizer);
      o.checkpoint = folder_ / (std::string(optimizer) + std::to_string(at));
      interrupt(o, at);
      const Outcome resumed = run(o);
      EXPECT_EQ(whole.graph, resumed.graph) << optimizer << " " << at;
      EXPECT_EQ(whole.report.epoch_losses, resumed.report.epoch_losses);
      EXPECT_EQ(resumed.report.steps, 16 - at);
      EXPECT_EQ(resumed.report.images, 16 * 16);  // of both parts
    }
  }
}

TEST_F(Fit, SecondsOfAllPartsAreCounted) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  interrupt(o, 3);
  Checkpoint state = decode_checkpoint(read_file(o.checkpoint, 1U << 20U));
  EXPECT_GT(state.place.seconds, 0.0);
  state.place.seconds = 1000.0;
  write_file_atomically(o.checkpoint, encode_checkpoint(state));
  double told = 0.0;
  o.on_event = [&](const FitEvent& event) { told = event.seconds; };
  const Outcome resumed = run(o);
  EXPECT_GT(told, 1000.0);
  EXPECT_GE(resumed.report.seconds, told);
  EXPECT_LT(resumed.report.seconds, 1500.0);
}

TEST_F(Fit, StoppedAtEveryStepItStillGetsOn) {
  FitOptions o = options("adam");
  o.accumulate = 2;
  const Outcome whole = run(o);
  o.checkpoint = folder_ / "fit";
  for (std::int64_t at = 1; at < 8; ++at) interrupt(o, at);
  std::vector<std::int64_t> images;
  o.on_event = [&](const FitEvent& event) { images.push_back(event.images); };
  const Outcome last = run(o);
  EXPECT_EQ(last.report.steps, 1);
  EXPECT_EQ(last.graph, whole.graph);
  EXPECT_EQ(last.report.epoch_losses, whole.report.epoch_losses);
  EXPECT_THAT(images, ::testing::ElementsAre(8 * 2 * 16));
}

struct Killed {};

TEST_F(Fit, KilledAtAnyStepItGoesOnFromTheLastCheckpoint) {
  const Outcome whole = run(options("adam"));
  for (std::int64_t at = 1; at < 16; ++at) {
    FitOptions o = options("adam");
    o.checkpoint = folder_ / std::to_string(at);
    o.checkpoint_share = std::numeric_limits<double>::infinity();
    FitOptions dying = o;
    dying.on_event = [&](const FitEvent& event) {
      if (event.step == at) throw Killed();
    };
    EXPECT_THROW(run(dying), Killed);
    const Outcome resumed = run(o);
    EXPECT_EQ(whole.graph, resumed.graph) << at;
    EXPECT_EQ(whole.report.epoch_losses, resumed.report.epoch_losses);
    EXPECT_EQ(resumed.report.steps, 16 - at);
  }
}

TEST_F(Fit, AFinishedFitIsNotMadeAgain) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  const Outcome first = run(o), second = run(o);
  EXPECT_EQ(second.report.steps, 0);
  EXPECT_EQ(first.graph, second.graph);
  EXPECT_EQ(first.report.epoch_losses, second.report.epoch_losses);
}

TEST_F(Fit, WithoutAShareOfTheTimeACheckpointComesAtTheEndOnly) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  o.checkpoint_share = 0.0;
  std::vector<bool> seen;
  o.on_event = [&](const FitEvent&) { seen.push_back(std::filesystem::exists(o.checkpoint)); };
  run(o);
  EXPECT_EQ(std::ranges::count(seen, true), 1);
  EXPECT_TRUE(seen.back());
}

TEST_F(Fit, WhatNoFitCouldGoOnFromReachesNoCheckpoint) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  o.checkpoint_share = std::numeric_limits<double>::infinity();
  o.optimizer.learning_rate = std::numeric_limits<double>::infinity();
  try {
    run(o);
    FAIL() << "nothing was noticed";
  } catch (const DivergedError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("is not finite after step 1 of 16"));
  }
  EXPECT_FALSE(std::filesystem::exists(o.checkpoint));
}

TEST_F(Fit, RefusesACheckpointWhoseEpochsAreNotItsSteps) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  run(o);
  const Checkpoint good = decode_checkpoint(read_file(o.checkpoint, 1U << 20U));
  for (const std::int64_t steps : {15, 17}) {
    Checkpoint wrong = good;
    wrong.place.steps_done = steps;
    write_file_atomically(o.checkpoint, encode_checkpoint(wrong));
    try {
      run(o);
      FAIL() << steps << " steps were taken";
    } catch (const DecodeError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(o.checkpoint.string()));
    }
  }
}

TEST_F(Fit, RefusesTheCheckpointOfAnotherFit) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  run(o);
  FitOptions other = o;
  other.optimizer.learning_rate = 0.25;
  try {
    run(other);
    FAIL() << "a foreign checkpoint was taken";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("found learning rate 0.05"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("expected learning rate 0.25"));
  }
  Executor executor(small_net(/*seed=*/4));
  ToyBatches source;
  const int logits = executor.graph().output("logits");
  EXPECT_THROW(fit(executor, std::span(&logits, 1), source, cross_entropy(), o),
               std::invalid_argument);
}

TEST_F(Fit, RefusesADamagedCheckpoint) {
  FitOptions o = options();
  o.checkpoint = folder_ / "fit";
  run(o);
  std::vector<std::byte> bytes = read_file(o.checkpoint, 1U << 20U);
  bytes[bytes.size() / 2] ^= std::byte{1};
  write_file_atomically(o.checkpoint, bytes);
  EXPECT_THROW(run(o), DecodeError);
}

TEST_F(Fit, StopsAtOnceIfAskedBefore) {
  std::atomic<bool> stop{true};
  FitOptions o = options();
  o.stop = &stop;
  EXPECT_THROW(run(o), Stopped);
}

TEST_F(Fit, DivergenceNamesStepAndRate) {
  FitOptions o = options();
  o.optimizer.learning_rate = 1e30;
  try {
    run(o);
    FAIL() << "nothing was noticed";
  } catch (const DivergedError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("step 2 of 16 with learning rate"));
  }
}

TEST_F(Fit, DivergenceOfTheVeryLastStepIsNoticed) {
  ToyBatches source(/*steps=*/1);
  FitOptions o = options();
  o.epochs = 1;
  o.optimizer.learning_rate = std::numeric_limits<double>::infinity();
  EXPECT_THROW(run(o, source), DivergedError);
}

TEST_F(Fit, ClippingBoundsTheFirstUpdate) {
  FitOptions o = options();
  ToyBatches source(/*steps=*/1);
  o.epochs = 1;
  o.clip_norm = 1e-3;
  o.optimizer = {.learning_rate = 1.0};
  const Outcome outcome = run(o, source);
  double moved = 0.0;
  for (const auto& [name, before] : small_net().tensors) {
    if (name.find("running") != std::string::npos) continue;
    const auto a = before.values<float>(), b = outcome.graph.tensors.at(name).values<float>();
    for (std::size_t i = 0; i < a.size(); ++i) moved += std::pow(double{a[i]} - double{b[i]}, 2.0);
  }
  EXPECT_NEAR(std::sqrt(moved), 1e-3, 1e-5);
}

}  // namespace
}  // namespace fedstill
