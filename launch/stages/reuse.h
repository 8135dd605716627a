#pragma once

#include <filesystem>

#include "launch/job.h"
#include "launch/run_folder.h"

namespace fedstill {

// Throws JobError unless the other folder holds a run whose job agrees with this one in everything
// that the clients depend on.
void check_same_clients(const std::filesystem::path& other, const Job& job);

// Copies the trained clients and their predictions of another run into this one, so that rules and
// students can be compared without training again. Requires: check_same_clients().
void take_clients(const std::filesystem::path& other, const RunFolder& folder);

}  // namespace fedstill
