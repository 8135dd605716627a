#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aggregation/soft_labels.h"
#include "launch/stages/federation.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// What the clients say together, and how good that is.
struct Teaching {
  SoftLabels pool;             // of the job's rule
  TrustReport trust;           // over the pool
  double pool_accuracy = 0.0;  // of the job's rule
  bool foreign_pool = false;
  // On the test set, where only those can be asked whose model is here: nothing for a client that
  // sent predictions of the pool, and the ensemble is that of the others.
  std::vector<std::optional<double>> client_accuracy;
  std::optional<double> test_accuracy;  // of the job's rule; nothing without any model
  std::map<std::string, double> rules;  // accuracy of every rule
};

// Asks all teachers about the pool and, to measure, those that are models about the test set; every
// rule works on the same caches. The caches stay in the run folder, so a killed pass goes on where
// it was.
Teaching teach(const Run& run, const Material& material, const std::vector<Teacher>& teachers);

}  // namespace fedstill
