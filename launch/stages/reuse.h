#pragma once

#include <filesystem>

#include "launch/job.h"
#include "launch/run_folder.h"

namespace fedstill {

// Copies the trained clients and their predictions of another run into this one, so that rules and
// students can be compared without training again. Throws JobError unless both jobs agree in
// everything the clients depend on.
void take_clients(const std::filesystem::path& other, const RunFolder& folder, const Job& job);

}  // namespace fedstill
