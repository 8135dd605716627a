#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>

#include "launch/command_line.h"
#include "launch/progress.h"

namespace fedstill {

// fedstill client: one site's part in a federation, from the first connection to the verified
// bundle. Trains on the site's own images as the coordinator's plan says; keeps what it must not
// forget in the state folder, so a killed client goes on without training again. Throws
// RefusedError where the coordinator refuses it for good, Stopped when asked to stop.
nlohmann::json run_site(const ClientCommand& command, Progress& progress, std::atomic<bool>& stop);

}  // namespace fedstill
