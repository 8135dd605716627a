#pragma once

#include <filesystem>
#include <optional>

#include "launch/inspect.h"

namespace fedstill {

// The file that stands for a run's folder: its report, or fedavg's result; nothing where the run is
// not finished. Throws InputError where the folder is none of a run.
std::optional<std::filesystem::path> result_of_run(const std::filesystem::path& run);

// How far a run that is not finished got by what it remembers (the round, the stage, its clients),
// and how to go on with it. Nothing in the folder is touched, so the run may be under way. Throws
// JobError for its job file, DecodeError where what it remembers is damaged.
Inspection inspect_unfinished(const std::filesystem::path& run);

}  // namespace fedstill
