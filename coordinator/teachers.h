#pragma once

#include <vector>

#include "aggregation/teacher_pass.h"
#include "coordinator/coordinator.h"

namespace fedstill {

// The accepted updates as the teacher pass wants them, in the same order; pool is what predictions
// are about. Nobody can check how many images a client that shows no model was trained on, so it
// counts with at most the median of all clients.
std::vector<Teacher> teachers_of(const std::vector<AcceptedUpdate>& updates,
                                 const PredictionsShape& pool = {});

// That their files are what was accepted: throws DecodeError where a hash is another. It reads all
// of them.
void check_hashes(const std::vector<AcceptedUpdate>& updates);

}  // namespace fedstill
