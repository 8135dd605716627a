#include "launch/fedavg_model.h"

#include <stdexcept>

#include "launch/stages/run.h"
#include "model/zoo.h"

namespace fedstill {
namespace {

std::unique_ptr<Engine> fastest_engine(const Graph& graph, const Material& m,
                                       const LocalSteps& steps) {
  try {
    return make_chain_engine(graph, m.data.train, m.normalisation, steps);
  } catch (const std::invalid_argument&) {
    return make_autograd_engine(graph, m.data.train, m.normalisation, steps);
  }
}

}  // namespace

AveragedModel::AveragedModel(const Job& job, const Material& material)
    : first(make_model(job.averaging.model, material.data.train.images->shape, material.classes(),
                       seed_of(job, Stream::kAveraging))),
      engine(fastest_engine(
          first, material,
          {job.averaging.batch, job.averaging.epochs, job.averaging.learning_rate})) {}

FedAvgOptions fedavg_options(const Job& job) {
  FedAvgOptions options;
  options.rounds = job.averaging.rounds;
  options.per_round = job.averaging.per_round > 0 ? job.averaging.per_round : job.clients.count;
  options.weigh_by_samples = job.averaging.weighting == "samples";
  options.server_learning_rate = job.averaging.server_learning_rate;
  options.seed = seed_of(job, Stream::kAveraging, 1);
  options.workers = static_cast<int>(job.run.workers);
  return options;
}

}  // namespace fedstill
