#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>

#include "launch/command_line.h"
#include "launch/job.h"
#include "launch/progress.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// The job a command asks for: preset, job file, assignments and flags, in this order, checked.
Job effective_job(const SimulateCommand& command);

// All stages of a run, each taken up where it was, and the report.
nlohmann::json run_stages(const Run& run, const Material& material, bool resumed);

// Runs a whole job on this machine, or goes on with one, and returns its report. Throws Stopped
// when stop is set, with the run folder ready for --resume.
nlohmann::json simulate(const SimulateCommand& command, Progress& progress,
                        std::atomic<bool>& stop);

}  // namespace fedstill
