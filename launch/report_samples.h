#pragma once

#include <nlohmann/json_fwd.hpp>

#include "launch/job.h"
#include "launch/stages/material.h"
#include "launch/stages/teaching.h"

namespace fedstill {

// Some images of the pool with their soft label, who decided it and, to measure, the hidden label:
// for the report. Two of three are drawn at random, the others from those the ensemble got wrong.
nlohmann::json sample_list(const Job& job, const Material& material, const Teaching& teaching);

}  // namespace fedstill
