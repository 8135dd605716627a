#pragma once

#include <memory>

#include "averaging/engine.h"
#include "averaging/fedavg.h"
#include "launch/job.h"
#include "launch/stages/material.h"
#include "model/graph.h"

namespace fedstill {

// What every rank of a FedAvg run makes of its job: where the weights begin, and what trains them.
struct AveragedModel {
  AveragedModel(const Job& job, const Material& material);

  Graph first;
  std::unique_ptr<Engine> engine;  // gradients written down where the model is a plain chain
};

// rounds, clients, weighting, seed and workers.
FedAvgOptions fedavg_options(const Job& job);

}  // namespace fedstill
