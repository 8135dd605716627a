#include "averaging/fedavg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "averaging/workloads.h"
#include "collective/local/local.h"
#include "data/readers.h"
#include "model/zoo.h"
#include "training/fit.h"

namespace fedstill {
namespace {

const Normalisation kNormalisation{{0.0F}, {1.0F}};

Dataset images() { return read_source("synthetic:4x1x16x16").train; }

// Clients of 12, 20, 12, 20 … images.
ClientShards uneven_shards(std::int64_t clients) {
  ClientShards shards;
  for (std::int64_t k = 0; k < clients; ++k) {
    for (std::int64_t i = 0; i < 12 + 8 * (k % 2); ++i) {
      shards.rows.push_back(static_cast<std::int32_t>(20 * k + i));
    }
    shards.ends.push_back(std::ssize(shards.rows));
  }
  return shards;
}

FedAvgOptions three_of_eight() {
  FedAvgOptions options;
  options.rounds = 2;
  options.per_round = 3;
  options.seed = 5;
  return options;
}

std::vector<float> run(const Engine& engine, const Graph& graph, const FedAvgOptions& options) {
  std::vector<float> weights = engine.flatten(graph);
  run_fedavg(weights, engine, uneven_shards(8), options);
  return weights;
}

// The rounds written down as they are in the paper.
std::vector<double> naive(const Engine& engine, const Graph& graph, const FedAvgOptions& options) {
  const ClientShards shards = uneven_shards(8);
  const std::vector<float> first = engine.flatten(graph);
  std::vector<double> global(first.begin(), first.end());
  const auto trainer = engine.make_trainer();
  for (std::int64_t round = 0; round < options.rounds; ++round) {
    std::vector<double> sum(global.size());
    double total = 0.0;
    const std::vector<float> start(global.begin(), global.end());
    for (const std::int64_t client : clients_of_round(8, options, round)) {
      const auto rows = shards.of(client);
      const double weight = options.weigh_by_samples ? static_cast<double>(rows.size()) : 1.0;
      const auto local = trainer->train(start, rows, training_key(options.seed, round, client));
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += weight * static_cast<double>(local[i]);
      }
      total += weight;
    }
    for (std::size_t i = 0; i < sum.size(); ++i) {
      global[i] += options.server_learning_rate * (sum[i] / total - global[i]);
    }
  }
  return global;
}

struct Case {
  bool weigh_by_samples;
  double server_learning_rate;
};
class FedAvg : public ::testing::TestWithParam<Case> {};

TEST_P(FedAvg, IsTheNaiveLoop) {
  const Graph graph = workload_model("W1", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  FedAvgOptions options = three_of_eight();
  options.weigh_by_samples = GetParam().weigh_by_samples;
  options.server_learning_rate = GetParam().server_learning_rate;
  const auto found = run(*engine, graph, options);
  const auto expected = naive(*engine, graph, options);
  ASSERT_NE(found, engine->flatten(graph));
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-6) << i;
}

INSTANTIATE_TEST_SUITE_P(Options, FedAvg,
                         ::testing::Values(Case{true, 1.0}, Case{false, 1.0}, Case{true, 0.3}));

TEST(FedAvg, IsTheSameBitsForAnyNumberOfWorkers) {
  const Graph graph = make_model("resnet8", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  FedAvgOptions options = three_of_eight();
  const auto one = run(*engine, graph, options);
  options.workers = 3;
  EXPECT_EQ(run(*engine, graph, options), one);
}

TEST(FedAvg, IsTheSameBitsForAnyNumberOfRanks) {
  const Graph graph = workload_model("W1", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  const auto one = run(*engine, graph, three_of_eight());
  for (const int ranks : {2, 5}) {  // five: some have no client in a round
    local::run_ranks(ranks, [&](Collective& group) {
      FedAvgOptions options = three_of_eight();
      options.group = &group;
      EXPECT_EQ(run(*engine, graph, options), one);
    });
  }
}

TEST(FedAvg, BatchNormIsAveragedWhole) {
  const Graph graph = make_model("resnet8", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  const Graph trained = engine->unflatten(run(*engine, graph, three_of_eight()));
  ASSERT_EQ(trained.nodes, graph.nodes);
  for (const auto& [name, tensor] : trained.tensors) {
    const auto& before = graph.tensors.at(name);
    EXPECT_EQ(tensor.shape(), before.shape());
    EXPECT_NE(tensor, before) << name;
  }
}

TEST(FedAvg, RefusesARoundThatCannotBeMet) {
  const Graph graph = workload_model("W1", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  FedAvgOptions options = three_of_eight();
  options.per_round = 9;
  EXPECT_THROW(run(*engine, graph, options), std::invalid_argument);
}

TEST(FedAvg, StopsWhenAsked) {
  const Graph graph = workload_model("W1", {1, 16, 16}, 4, 1);
  const auto engine = make_autograd_engine(graph, images(), kNormalisation, {.batch = 4});
  const std::atomic<bool> stop = true;
  FedAvgOptions options = three_of_eight();
  options.stop = &stop;
  EXPECT_THROW(run(*engine, graph, options), Stopped);
}

}  // namespace
}  // namespace fedstill
