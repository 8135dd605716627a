#include "launch/ranks/fedavg_ranks.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "data/data_error.h"
#include "launch/fedavg_model.h"
#include "launch/job_check.h"
#include "launch/job_file.h"
#include "launch/ranks/say.h"
#include "training/threads.h"

namespace fedstill {
namespace {

using nlohmann::json;

json facts_of(const Material& material) {
  return {{"split", material.split.hash()}, {"data", material.data.hash()}};
}

}  // namespace

FedAvgRanks::FedAvgRanks() {
  mpi::Options options;
  options.deadline = kRanksPatience;
  group_ = mpi::make(session_, options);
  neighbours_ = find_neighbours(*group_);
}

void FedAvgRanks::share(const Run& run, const Material& material, std::vector<float>& weights,
                        FedAvgOptions& options) const {
  const json begin{
      {"job", write_job(run.job)}, {"rounds", options.first_round}, {"data", facts_of(material)}};
  say(*group_, begin.dump(), 0, run.stop);
  join(options, weights);
}

void FedAvgRanks::help(std::atomic<bool>& stop) const {
  const json begin = json::parse(say(*group_, "", 0, stop));
  Job job;
  apply_toml(job, begin.at("job").get<std::string>(), "[fedavg] the job of rank 0");
  const Material material = load_material(job);
  if (facts_of(material) != begin.at("data")) {
    throw DataError("[fedavg] rank " + std::to_string(group_->rank()) +
                    " reads other images or labels than rank 0");
  }
  const AveragedModel model(job, material);
  std::vector<float> weights = model.engine->flatten(model.first);
  FedAvgOptions options = fedavg_options(job);
  options.first_round = begin.at("rounds");
  options.stop = &stop;
  join(options, weights);
  set_thread_count(1);
  run_fedavg(weights, *model.engine, shards_of(material.split), options);
}

// The workers of a machine are shared by the ranks on its cores.
void FedAvgRanks::join(FedAvgOptions& options, std::vector<float>& weights) const {
  options.group = group_.get();
  options.workers =
      static_cast<int>(std::max<std::int64_t>(1, options.workers / neighbours_.on_my_cores));
  group_->broadcast(elements(weights), 0).wait();
}

}  // namespace fedstill
