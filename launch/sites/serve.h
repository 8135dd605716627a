#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>

#include "launch/command_line.h"
#include "launch/progress.h"

namespace fedstill {

// fedstill coordinator: collects the clients' updates over TLS, teaches, distills, compresses,
// hands the bundle out, and returns the report. Everything durable is in the state folder, so a
// killed coordinator goes on when it is started again with the same folder. Where an
// administrator stopped it, {"stopped_by", "state"} is all there is. Throws Stopped at a signal,
// RoundFailed when too few clients got on (unless it is to wait for an
// administrator then), and what simulate throws.
nlohmann::json serve(const CoordinatorCommand& command, Progress& progress,
                     std::atomic<bool>& stop);

// The round passed its deadline with fewer updates than it needs. Started again, or told to reopen
// it, the coordinator goes on with those it has.
class RoundFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fedstill
