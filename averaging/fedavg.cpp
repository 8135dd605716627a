#include "averaging/fedavg.h"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "averaging/exact_sum.h"
#include "averaging/sampling.h"
#include "averaging/workers.h"
#include "collective/placement.h"
#include "model/random.h"
#include "training/fit.h"

namespace fedstill {
namespace {

// What the keys of a run are derived for; never renumber.
enum class Draw : std::uint64_t { kClients = 1, kTraining = 2 };

void check(const ClientShards& shards, const FedAvgOptions& options) {
  if (options.rounds < 1 || options.first_round < 0 || options.first_round > options.rounds ||
      options.workers < 1 || options.server_learning_rate <= 0.0 || options.per_round < 1 ||
      options.per_round > shards.clients()) {
    throw std::invalid_argument(
        "[averaging] found rounds " + std::to_string(options.first_round) + " to " +
        std::to_string(options.rounds) + " of " + std::to_string(options.per_round) +
        " clients by " + std::to_string(options.workers) + " workers with server learning rate " +
        std::to_string(options.server_learning_rate) + ", expected all positive and at most " +
        std::to_string(shards.clients()) + " clients");
  }
}

// One rank's part of a run.
class Run {
 public:
  Run(std::vector<float>& weights, const Engine& engine, const ClientShards& shards,
      const FedAvgOptions& options)
      : weights_(weights),
        engine_(engine),
        shards_(shards),
        options_(options),
        workers_(options.workers),
        trainers_(static_cast<std::size_t>(options.workers)) {
    for (int i = 0; i < options.workers; ++i) sums_.emplace_back(weights.size());
  }

  void round(std::int64_t round, FedAvgReport& report) {
    const auto clients = clients_of_round(shards_.clients(), options_, round);
    const auto shares = shares_of_round(shards_, clients, options_);
    for (ExactSum& sum : sums_) sum.clear();
    const std::vector<std::size_t> mine = placed_here(clients);
    workers_.run(mine.size(), [&](int worker, std::size_t item) {
      const std::size_t i = mine[item];
      train(worker, clients[i], shares[i], training_key(options_.seed, round, clients[i]));
    });
    take_average();
    report.trainings += std::ssize(clients);
    for (const std::int64_t client : clients) report.images += std::ssize(shards_.of(client));
  }

 private:
  // Which of them this rank trains: those with the most images are placed first.
  std::vector<std::size_t> placed_here(std::span<const std::int64_t> clients) const {
    const Collective* const group = options_.group;
    std::vector<double> costs;
    for (const std::int64_t client : clients) {
      costs.push_back(static_cast<double>(shards_.of(client).size()));
    }
    const std::vector<int> ranks = place(costs, group == nullptr ? 1 : group->size());
    std::vector<std::size_t> mine;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      if (ranks[i] == (group == nullptr ? 0 : group->rank())) mine.push_back(i);
    }
    return mine;
  }

  void train(int worker, std::int64_t client, double share, std::uint64_t key) {
    if (options_.stop != nullptr && options_.stop->load()) throw Stopped("[averaging] stopped");
    const auto i = static_cast<std::size_t>(worker);
    if (!trainers_[i]) trainers_[i] = engine_.make_trainer();
    sums_[i].add(trainers_[i]->train(weights_, shards_.of(client), key), share);
  }

  void take_average() {
    ExactSum& total = sums_.front();
    for (std::size_t i = 1; i < sums_.size(); ++i) total.add(sums_[i]);
    if (options_.group != nullptr) options_.group->all_reduce(elements_of(total)).wait();
    const std::span<const double> mean = total.sums();
    const double rate = options_.server_learning_rate;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      const double old = weights_[i];
      weights_[i] = static_cast<float>(rate == 1.0 ? mean[i] : old + rate * (mean[i] - old));
    }
  }

  static Elements elements_of(ExactSum& sum) {
    std::span<double> sums = sum.sums();
    return elements(sums);
  }

  std::vector<float>& weights_;
  const Engine& engine_;
  const ClientShards& shards_;
  const FedAvgOptions& options_;
  std::vector<ExactSum> sums_;  // one per worker
  Workers workers_;
  std::vector<std::unique_ptr<ClientTrainer>> trainers_;
};

}  // namespace

std::vector<std::int64_t> clients_of_round(std::int64_t clients, const FedAvgOptions& options,
                                           std::int64_t round) {
  return sample_clients(
      clients, options.per_round,
      derive_key(options.seed, static_cast<std::uint64_t>(Draw::kClients), round));
}

std::vector<double> shares_of_round(const ClientShards& shards,
                                    std::span<const std::int64_t> clients,
                                    const FedAvgOptions& options) {
  std::vector<double> shares;
  double total = 0.0;
  for (const std::int64_t client : clients) {
    shares.push_back(options.weigh_by_samples ? static_cast<double>(shards.of(client).size())
                                              : 1.0);
    total += shares.back();
  }
  for (double& share : shares) share /= total;
  return shares;
}

std::uint64_t training_key(std::uint64_t seed, std::int64_t round, std::int64_t client) {
  return derive_key(seed, static_cast<std::uint64_t>(Draw::kTraining), round, client);
}

FedAvgReport run_fedavg(std::vector<float>& weights, const Engine& engine,
                        const ClientShards& shards, const FedAvgOptions& options) {
  check(shards, options);
  FedAvgReport report;
  const auto began = std::chrono::steady_clock::now();
  Run run(weights, engine, shards, options);
  for (std::int64_t round = options.first_round; round < options.rounds; ++round) {
    run.round(round, report);
    if (options.on_round) options.on_round(round + 1);
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return report;
}

}  // namespace fedstill
