#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>

#include "launch/command_line.h"

namespace fedstill {

// fedstill status | rounds | clients | exclude | readmit | reopen | log-level | stop: asks a
// running coordinator, with an administrator's certificate. Throws RefusedError, DialError,
// ChannelClosed.
nlohmann::json ask_coordinator(const AdminCommand& command);
// The first three again and again, until stopped or the coordinator is gone.
void watch_coordinator(const AdminCommand& command, const std::atomic<bool>& stop);

}  // namespace fedstill
