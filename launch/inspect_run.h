#pragma once

#include <filesystem>

namespace fedstill {

// The file that stands for a run's folder: its report, or fedavg's result. Throws InputError where
// the folder is none of a run, JobError (how far it is, and how to go on) where the run is not
// finished, DecodeError where what it remembers is damaged.
std::filesystem::path result_of_run(const std::filesystem::path& run);

}  // namespace fedstill
