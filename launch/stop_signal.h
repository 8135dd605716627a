#pragma once

#include <atomic>

namespace fedstill {

// Set by SIGINT and SIGTERM: work stops at the next step with its state on disk. A second signal
// ends the process at once with ExitCode::kInterrupted.
std::atomic<bool>& stop_requested();
void install_stop_signals();

}  // namespace fedstill
