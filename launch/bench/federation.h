#pragma once

#include <memory>
#include <string>

#include "averaging/client_shards.h"
#include "averaging/engine.h"
#include "averaging/fedavg.h"
#include "averaging/workloads.h"
#include "data/readers.h"
#include "launch/bench/bench_command.h"

namespace fedstill {

// What `bench simulate` measures: data, clients, first weights and settings.
struct BenchFederation {
  std::string name;  // of the model
  Workload workload;
  TrainTest data;
  Normalisation normalisation;
  ClientShards shards;
  Graph first;  // the global model before the first round
  FedAvgOptions options;
};

// The workload with the command's settings over it. Throws UsageError for settings that contradict
// each other, DataError for data that cannot be dealt out so.
BenchFederation make_federation(const BenchSimulateCommand& command);

// On average.
std::int64_t images_of_round(const BenchFederation& federation);

struct BenchEngine {
  std::unique_ptr<Engine> engine;
  std::string name;     // "closed-form" or "autograd"
  std::string warning;  // why bfloat16 does not pay on this processor, if it was asked for
};
BenchEngine make_engine(const BenchFederation& federation, const BenchSimulateCommand& command);

}  // namespace fedstill
