#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "averaging/fedavg.h"
#include "collective/collective.h"
#include "collective/mpi/mpi.h"
#include "launch/ranks/neighbours.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// The ranks of one FedAvg run. Rank 0 leads and keeps the run folder; the others need no folder,
// read the job's data themselves and train their part of each round's clients. One per process.
class FedAvgRanks {
 public:
  FedAvgRanks();

  bool lead() const { return group_->rank() == 0; }
  // On rank 0: the others begin with these weights where the options say, and share the rounds.
  void share(const Run& run, const Material& material, std::vector<float>& weights,
             FedAvgOptions& options) const;
  // On the others, until the last round is over. Throws DataError where their data are not rank
  // 0's, Stopped, CollectiveError.
  void help(std::atomic<bool>& stop) const;

 private:
  void join(FedAvgOptions& options, std::vector<float>& weights) const;

  mpi::Session session_;
  std::unique_ptr<Collective> group_;
  Neighbours neighbours_;
};

}  // namespace fedstill
