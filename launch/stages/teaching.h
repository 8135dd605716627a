#pragma once

#include <map>
#include <string>
#include <vector>

#include "aggregation/soft_labels.h"
#include "launch/stages/federation.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// What the clients say together, and how good that is.
struct Teaching {
  SoftLabels pool;                                  // of the job's rule
  TrustReport trust;                                // over the pool
  double pool_accuracy = 0.0, test_accuracy = 0.0;  // of the job's rule
  std::map<std::string, double> rules;              // accuracy on the test set of every rule
  std::vector<double> client_accuracy;              // on the test set
  bool foreign_pool = false;
};

// Evaluates all teachers on the pool and, to measure, on the test set; every rule works on the same
// caches. The caches stay in the run folder, so a killed pass goes on where it was.
Teaching teach(const Run& run, const Material& material, const std::vector<Teacher>& teachers);

}  // namespace fedstill
