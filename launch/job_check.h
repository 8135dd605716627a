#pragma once

#include <string>

#include "data/images.h"
#include "launch/job.h"

namespace fedstill {

// Settings that are fine alone but contradict each other. Throws JobError.
void check_job(const Job& job);

// The same against the data that was read: counts, classes, and that every architecture fits the
// images.
void check_job_against(const Job& job, const Dataset& train);

// That one architecture, the value of a setting, fits them.
void check_fits(const std::string& setting, const std::string& model, const Dataset& train);

// Replaces the zeros that mean "as many as the machine has", so that the recorded job is exact; how
// much memory a GPU has is asked when it is needed. Requires: check_job().
void resolve_machine(Job& job);

// For a run that goes on: memory_mb is open again where it was of a processor and is now of a GPU,
// or the other way round.
void move_to_device(Job& job, const std::string& device);

}  // namespace fedstill
