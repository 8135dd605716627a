#pragma once

#include <atomic>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/command_line.h"
#include "launch/job.h"
#include "launch/progress.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"

namespace fedstill {

// The job a command asks for: preset, job file, assignments and flags, in this order, checked.
Job effective_job(const SimulateCommand& command);
void set_workers(Job& job, const SimulateCommand& command);  // if it says how many

// All stages of a run, each taken up where it was, and the report.
nlohmann::json run_stages(const Run& run, const Material& material, bool resumed);

// What is done in a run folder, and by which command: a folder of another's is refused.
struct RunProgram {
  std::string name;
  // Before anything is written. Throws JobError.
  std::function<void(const Job&, const Material&)> check;
  std::function<nlohmann::json(const Run&, const Material&, bool resumed)> work;
  bool shared = false;     // by the ranks of mpirun, of which this one leads
  bool on_devices = true;  // or on processors only
};
// Opens the folder that the command asks for, a new one or one to go on with, reads the data and
// does the work. Throws JobError, DataError, Stopped.
nlohmann::json in_run_folder(const SimulateCommand& command, const RunProgram& program,
                             Progress& progress, std::atomic<bool>& stop);

// Runs a whole job on this machine, or goes on with one, and returns its report. Throws Stopped
// when stop is set, with the run folder ready for --resume.
nlohmann::json simulate(const SimulateCommand& command, Progress& progress,
                        std::atomic<bool>& stop);

}  // namespace fedstill
