#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "averaging/client_shards.h"
#include "averaging/engine.h"
#include "collective/collective.h"

namespace fedstill {

struct FedAvgOptions {
  std::int64_t rounds = 100;
  std::int64_t first_round = 0;       // those before it are done: the weights are what they left
  std::int64_t per_round = 10;        // clients that train in a round
  bool weigh_by_samples = true;       // else every client of a round counts the same
  double server_learning_rate = 1.0;  // share of the way from the old weights to the average
  std::uint64_t seed = 0;
  int workers = 1;  // clients trained at once by this rank
  // Ranks that share each round's clients, all with the same arguments; null: alone.
  Collective* group = nullptr;
  const std::atomic<bool>* stop = nullptr;  // when true: finish the clients at work, throw Stopped
  std::function<void(std::int64_t rounds_done)> on_round{};  // from the calling thread
};

struct FedAvgReport {
  std::int64_t trainings = 0, images = 0;  // of all ranks
  double seconds = 0.0;
};

// Federated averaging (McMahan et al. 2017): every round some clients train from the global weights
// and the weights become their average. weights, in the engine's layout, are moved in place. The
// result is the same bits for any number of workers and ranks. Throws std::invalid_argument for
// more clients a round than there are or an option out of range, Stopped, CollectiveError, and what
// the engine's trainers throw.
FedAvgReport run_fedavg(std::vector<float>& weights, const Engine& engine,
                        const ClientShards& shards, const FedAvgOptions& options);

// What decides a run, for whoever wants to repeat it: the clients of a round in ascending order,
// and the key of one client's local training in it.
std::vector<std::int64_t> clients_of_round(std::int64_t clients, const FedAvgOptions& options,
                                           std::int64_t round);
std::vector<double> shares_of_round(const ClientShards& shards,
                                    std::span<const std::int64_t> clients,
                                    const FedAvgOptions& options);
std::uint64_t training_key(std::uint64_t seed, std::int64_t round, std::int64_t client);

}  // namespace fedstill
