#include "training/data_parallel.h"

#include <gmock/gmock.h>

#include <atomic>
#include <limits>

#include "collective/local/local.h"
#include "model/fold.h"
#include "tests/support/temporary_folder.h"
#include "toy.h"
#include "training/fit.h"
#include "training/losses.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using tests::random_tensor;
using tests::small_net;
using tests::values;

constexpr std::int64_t kImages = 60, kBatch = 12;

// Random images, small and with three classes.
ImageView toy_images() {
  auto images = std::make_shared<Images>();
  images->shape = {2, 8, 8};
  images->pixels.resize(static_cast<std::size_t>(kImages * 2 * 8 * 8));
  for (std::size_t i = 0; i < images->pixels.size(); ++i) {
    images->pixels[i] = static_cast<std::uint8_t>(random_below(7, i, 256));
  }
  std::vector<std::int64_t> rows(kImages);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  return {images, rows};
}

at::Tensor toy_labels() {
  at::Tensor labels = at::empty({kImages}, at::kLong);
  for (std::int64_t i = 0; i < kImages; ++i) {
    labels.mutable_data_ptr<std::int64_t>()[i] =
        static_cast<std::int64_t>(random_below(8, static_cast<std::uint64_t>(i), 3));
  }
  return labels;
}

BatchOptions toy_batches(const DataParallel& parallel) {
  return {.batch = kBatch,
          .normalisation = {{0.5F, 0.5F}, {0.25F, 0.25F}},
          .augmentation = {.crop_padding = 1, .flip = true},
          .seed = 4,
          .part = parallel.rank(),
          .parts = parallel.ranks()};
}

// Without BatchNorm and dropout, which see their own rank's images only, a fit is the same sum
// whoever computes which part of it.
Graph plain_net() {
  GraphBuilder build("plain", {2, 8, 8}, 3);
  int node = build.unary(build.conv(0, {.out = 4}), Op::kReLU);
  node = build.unary(build.conv(node, {.out = 6}), Op::kReLU);
  return std::move(build).finish(build.linear(build.unary(node, Op::kGlobalAveragePool), 3));
}

FitOptions options_of(const DataParallel& parallel, const char* optimizer = "sgd") {
  FitOptions options{.epochs = 3, .seed = 5, .parallel = parallel};
  options.optimizer = {.name = optimizer, .learning_rate = 0.05, .weight_decay = 1e-3};
  return options;
}

struct Outcome {
  Graph graph;
  FitReport report;
};

Outcome run(const Graph& net, const FitOptions& options, const BatchOptions& batches) {
  set_thread_count(1);
  Executor executor(net);
  const int logits = executor.graph().output("logits");
  const auto source = make_batches(toy_images(), toy_labels(), batches);
  FitReport report = fit(executor, std::span(&logits, 1), *source, cross_entropy(), options);
  return {executor.snapshot(), std::move(report)};
}

Outcome run(const Graph& net, const FitOptions& options) {
  return run(net, options, toy_batches(options.parallel));
}

// Of every rank.
std::vector<Outcome> run_ranks(int ranks, const Graph& net, DataParallel parallel,
                               const std::function<void(FitOptions&, int)>& change = {}) {
  std::vector<Outcome> out(static_cast<std::size_t>(ranks));
  local::run_ranks(ranks, [&](Collective& group) {
    DataParallel own = parallel;
    own.group = &group;
    FitOptions options = options_of(own);
    if (change) change(options, group.rank());
    out[static_cast<std::size_t>(group.rank())] = run(net, options);
  });
  return out;
}

double largest_difference(const Graph& a, const Graph& b) {
  double largest = 0.0;
  for (const auto& [name, tensor] : a.tensors) {
    const auto x = tensor.values<float>(), y = b.tensors.at(name).values<float>();
    for (std::size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    }
  }
  return largest;
}

struct Way {
  int ranks;
  std::size_t bucket_bytes;
  bool overlap;
};

std::string way_name(const ::testing::TestParamInfo<Way>& info) {
  return std::to_string(info.param.ranks) + "RanksBucketsOf" +
         std::to_string(info.param.bucket_bytes) + (info.param.overlap ? "Overlapped" : "After");
}

class DataParallelFit : public ::testing::TestWithParam<Way> {};

TEST_P(DataParallelFit, IsTheFitOfOneRankWithTheWholeBatch) {
  const Way way = GetParam();
  const Outcome alone = run(plain_net(), options_of({}));
  const auto together =
      run_ranks(way.ranks, plain_net(), {.bucket_bytes = way.bucket_bytes, .overlap = way.overlap});
  for (const Outcome& rank : together) {
    EXPECT_LT(largest_difference(alone.graph, rank.graph), 1e-6);
    EXPECT_EQ(rank.graph, together.front().graph);  // replicas stay the same bits
    ASSERT_EQ(rank.report.epoch_losses.size(), 3U);
    EXPECT_NEAR(rank.report.epoch_losses.back(), alone.report.epoch_losses.back(), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, DataParallelFit,
                         ::testing::Values(Way{2, 1 << 20, true}, Way{2, 1 << 20, false},
                                           Way{2, 1, true}, Way{3, 256, true}, Way{4, 256, false},
                                           Way{5, 256, true}),
                         way_name);

// How long the reductions were that it was asked for, in their order.
class LoggedCollective : public Collective {
 public:
  explicit LoggedCollective(Collective& group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::vector<std::size_t> counts;

 private:
  Pending start(const Operation& operation) override {
    counts.push_back(operation.output.count);
    return group_.all_reduce(operation.output, operation.reduction);
  }

  Collective& group_;
};

TEST(DataParallel, BucketsStartInOneOrderAsSoonAsBackwardHasFilledThem) {
  for (const bool overlap : {true, false}) {
    const auto alone = std::move(local::make_group(1)[0]);
    LoggedCollective group(*alone);
    Executor executor(plain_net());
    GradientBuckets buckets(executor.parameters(),
                            {.group = &group, .bucket_bytes = 1, .overlap = overlap});
    std::vector<float> facts(2);
    std::vector<std::size_t> expected{facts.size()};
    for (const auto& parameter : executor.parameters()) {  // from the last to the first
      expected.insert(expected.begin() + 1, static_cast<std::size_t>(parameter.value.numel()));
    }
    buckets.begin(facts);
    const int logits = executor.graph().output("logits");
    executor.run(random_tensor({4, 2, 8, 8}, 1), logits, Mode::kTrain, 1).sum().backward();
    EXPECT_EQ(group.counts.size(), overlap ? expected.size() : 1U);
    buckets.finish();
    EXPECT_EQ(group.counts, expected);
  }
}

// The last parameter is used first, so its gradient comes last, and its bucket starts first.
TEST(DataParallel, BucketsKeepTheirOrderWhateverThatOfTheirGradients) {
  for (const bool overlap : {true, false}) {
    const auto alone = std::move(local::make_group(1)[0]);
    LoggedCollective group(*alone);
    std::vector<Executor::Parameter> parameters;
    for (const std::int64_t size : {5, 6, 7}) {
      parameters.push_back({std::to_string(size), random_tensor({size}, 1), true, true});
      parameters.back().value.requires_grad_();
    }
    GradientBuckets buckets(parameters, {.group = &group, .bucket_bytes = 1, .overlap = overlap});
    std::vector<float> facts(2);
    buckets.begin(facts);
    at::Tensor sum = parameters[2].value.sum();
    for (const std::size_t i : {1U, 0U}) sum = sum.add(parameters[i].value.sum());
    sum.backward();
    EXPECT_EQ(group.counts.size(), overlap ? 4U : 1U);
    buckets.finish();
    EXPECT_EQ(group.counts, (std::vector<std::size_t>{2, 7, 6, 5}));
  }
}

TEST(DataParallel, AGroupOfOneIsAlone) {
  const Outcome alone = run(small_net(), options_of({}));
  EXPECT_EQ(run_ranks(1, small_net(), {}).front().graph, alone.graph);
}

TEST(DataParallel, StatisticsAndDropoutAreOfEachRankAndYetReplicasAgree) {
  const auto together = run_ranks(3, small_net(), {.bucket_bytes = 64});
  EXPECT_EQ(together[0].graph, together[1].graph);
  EXPECT_EQ(together[0].graph, together[2].graph);
  EXPECT_EQ(together[0].graph, run_ranks(3, small_net(), {.bucket_bytes = 4096})[0].graph);
  EXPECT_GT(largest_difference(together[0].graph, run(small_net(), options_of({})).graph), 1e-4);
}

Graph batch_norm_net() {
  GraphBuilder build("batch norm", {2, 8, 8}, 3);
  int node = build.conv_bn_relu(0, {.out = 4});
  node = build.conv_bn_relu(node, {.out = 6});
  return std::move(build).finish(build.linear(build.unary(node, Op::kGlobalAveragePool), 3));
}

TEST(DataParallel, WithSharedBatchNormItIsTheFitOfOneRankWithTheWholeBatch) {
  const Outcome alone = run(batch_norm_net(), options_of({}));
  for (const int ranks : {2, 3, 5}) {
    const auto together =
        run_ranks(ranks, batch_norm_net(), {.bucket_bytes = 256, .shared_batch_norm = true});
    EXPECT_LT(largest_difference(alone.graph, together[0].graph), 1e-5) << ranks;
    for (const Outcome& rank : together) EXPECT_EQ(rank.graph, together[0].graph);
  }
  EXPECT_GT(largest_difference(alone.graph, run_ranks(2, batch_norm_net(), {})[0].graph), 1e-3);
}

TEST(DataParallel, WithFoldedBatchNormItIsTheFitOfOneRankWithTheWholeBatch) {
  const Graph folded = fold_batch_norm(batch_norm_net());
  const Outcome alone = run(folded, options_of({}));
  for (const int ranks : {2, 3, 5}) {
    const auto together = run_ranks(ranks, folded, {.bucket_bytes = 256});
    EXPECT_LT(largest_difference(alone.graph, together[0].graph), 1e-6) << ranks;
    for (const Outcome& rank : together) EXPECT_EQ(rank.graph, together[0].graph);
  }
}

// The same images in the same order; what is drawn to augment them depends on the batch.
BatchOptions batches_of(std::int64_t batch, const DataParallel& parallel) {
  BatchOptions options = toy_batches(parallel);
  options.batch = batch;
  options.augmentation = {};
  return options;
}

TEST(DataParallel, BatchesThatAreAccumulatedAreOneLargeBatch) {
  const Outcome large = run(plain_net(), options_of({}), batches_of(12, {}));
  FitOptions options = options_of({});
  options.accumulate = 3;
  const Outcome alone = run(plain_net(), options, batches_of(4, {}));
  EXPECT_LT(largest_difference(alone.graph, large.graph), 1e-6);
  EXPECT_EQ(alone.report.steps, large.report.steps);
  EXPECT_EQ(alone.report.images, large.report.images);
  EXPECT_NEAR(alone.report.epoch_losses.back(), large.report.epoch_losses.back(), 1e-5);
  for (const bool overlap : {true, false}) {
    local::run_ranks(2, [&](Collective& group) {
      FitOptions own = options;
      own.parallel = {.group = &group, .bucket_bytes = 256, .overlap = overlap};
      const Outcome rank = run(plain_net(), own, batches_of(4, own.parallel));
      EXPECT_LT(largest_difference(rank.graph, large.graph), 1e-6);
      EXPECT_NEAR(rank.report.epoch_losses.back(), large.report.epoch_losses.back(), 1e-5);
    });
  }
}

TEST(DataParallel, AStepOfMoreBatchesThanAnEpochHasIsRefused) {
  FitOptions options = options_of({});
  for (const std::int64_t batches : {0, 6}) {
    options.accumulate = batches;
    EXPECT_THROW(run(plain_net(), options), std::invalid_argument) << batches;
  }
}

TEST(DataParallel, Bfloat16OnTheWireIsCloseAndTheSameOnAllRanks) {
  const Outcome alone = run(plain_net(), options_of({}));
  const auto together = run_ranks(2, plain_net(), {.bf16 = true});
  EXPECT_EQ(together[0].graph, together[1].graph);
  const double difference = largest_difference(alone.graph, together[0].graph);
  EXPECT_LT(difference, 2e-3);
  EXPECT_GT(difference, 1e-6);
}

TEST(DataParallel, PartsAreDisjointCompleteAndInOrder) {
  const auto whole = make_batches(toy_images(), toy_labels(), toy_batches({}));
  for (const int parts : {1, 2, 5}) {
    for (std::int64_t step = 0; step < whole->steps_per_epoch(); ++step) {
      const Batch all = whole->batch(1, step);
      std::vector<float> images;
      double share = 0.0;
      for (int part = 0; part < parts; ++part) {
        BatchOptions options = toy_batches({});
        options.part = part;
        options.parts = parts;
        const Batch some = make_batches(toy_images(), toy_labels(), options)->batch(1, step);
        const auto pixels = values(some.images);
        images.insert(images.end(), pixels.begin(), pixels.end());
        share += some.share;
      }
      EXPECT_EQ(images, values(all.images));
      EXPECT_DOUBLE_EQ(share, 1.0);
    }
  }
}

TEST(DataParallel, MorePartsThanImagesAreRefused) {
  BatchOptions options = toy_batches({});
  options.parts = static_cast<int>(kBatch) + 1;
  EXPECT_THROW(make_batches(toy_images(), toy_labels(), options), std::invalid_argument);
}

// Of two ranks; one of them is told after that step, and only rank 0 keeps the checkpoint.
void stop_two(const DataParallel& parallel, const std::filesystem::path& checkpoint,
              std::int64_t step, int told) {
  std::atomic<bool> stop{false};
  std::atomic<int> stopped{0};
  local::run_ranks(2, [&](Collective& group) {
    DataParallel own = parallel;
    own.group = &group;
    FitOptions options = options_of(own);
    if (group.rank() == 0) options.checkpoint = checkpoint;
    if (group.rank() == told) {
      options.stop = &stop;
      options.on_event = [&](const FitEvent& event) { stop = event.step == step; };
    }
    EXPECT_THROW(run(small_net(), options), Stopped);
    ++stopped;
  });
  EXPECT_EQ(stopped, 2);
}

TEST(DataParallel, AllStopAfterTheSameStepWhicheverItIsAndGoOnTogether) {
  for (const bool shared : {false, true}) {
    const TemporaryFolder folder;
    const auto uninterrupted = run_ranks(2, small_net(), {.shared_batch_norm = shared});
    for (const std::int64_t step : {1, 2, 4, 5, 7, 10, 13}) {
      SCOPED_TRACE(step);
      const auto checkpoint = folder.path() / std::to_string(step);
      stop_two({.shared_batch_norm = shared}, checkpoint, step, static_cast<int>(step % 2));
      const auto resumed =
          run_ranks(2, small_net(), {.shared_batch_norm = shared}, [&](FitOptions& o, int rank) {
            if (rank == 0) o.checkpoint = checkpoint;
          });
      for (const Outcome& rank : resumed) {
        EXPECT_EQ(rank.graph, uninterrupted[0].graph);
        EXPECT_EQ(rank.report.steps, 15 - step - 1);  // the flag is seen with the next step
      }
      EXPECT_EQ(resumed[0].report.epoch_losses, uninterrupted[0].report.epoch_losses);
      EXPECT_EQ(resumed[1].report.epoch_losses.back(), uninterrupted[0].report.epoch_losses.back());
    }
  }
}

struct KilledRank {};

TEST(DataParallel, KilledBetweenTwoStepsAllGoOnFromTheLastCheckpoint) {
  const TemporaryFolder folder;
  const auto uninterrupted = run_ranks(3, small_net(), {});
  for (const std::int64_t step : {3, 5, 9}) {
    const auto checkpoint = folder.path() / std::to_string(step);
    const auto keep = [&](FitOptions& options, int rank) {
      if (rank == 0) options.checkpoint = checkpoint;
      options.checkpoint_share = std::numeric_limits<double>::infinity();
    };
    EXPECT_ANY_THROW(run_ranks(3, small_net(), {}, [&](FitOptions& options, int rank) {
      keep(options, rank);
      options.on_event = [&, rank](const FitEvent& event) {
        if (event.step == step && rank == 0) throw KilledRank();
      };
    }));
    const auto resumed = run_ranks(3, small_net(), {}, keep);
    EXPECT_EQ(resumed[2].graph, uninterrupted[0].graph) << step;
    EXPECT_EQ(resumed[0].report.steps, 15 - step);
    EXPECT_EQ(resumed[0].report.epoch_losses, uninterrupted[0].report.epoch_losses);
  }
}

TEST(DataParallel, ADivergedRankEndsTheFitOnAll) {
  local::run_ranks(2, [](Collective& group) {
    FitOptions options = options_of({.group = &group});
    options.optimizer.learning_rate = 1e30;
    EXPECT_THROW(run(plain_net(), options), DivergedError);
  });
}

TEST(DataParallel, ACheckpointOfAnotherNumberOfRanksIsRefused) {
  const TemporaryFolder folder;
  FitOptions options = options_of({});
  options.checkpoint = folder.path() / "fit.checkpoint";
  run(plain_net(), options);
  EXPECT_THROW(run_ranks(2, plain_net(), {},
                         [&](FitOptions& o, int rank) {
                           if (rank == 0) o.checkpoint = folder.path() / "fit.checkpoint";
                         }),
               std::invalid_argument);
}

}  // namespace
}  // namespace fedstill
