#pragma once

#include <vector>

#include "aggregation/teacher_pass.h"
#include "coordinator/coordinator.h"

namespace fedstill {

// The accepted updates as the teacher pass wants them, in the same order.
std::vector<Teacher> teachers_of(const std::vector<AcceptedUpdate>& updates);

}  // namespace fedstill
