#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "collective/collective.h"

namespace fedstill {

// While one rank works alone the others wait; mpirun itself ends the job when one dies.
inline constexpr std::chrono::hours kRanksPatience{24};

// Waits, which may take hours while others work, and still hears that it is asked to stop. Throws
// Stopped, CollectiveError.
void finish(Pending pending, const std::atomic<bool>& stop);

// Every rank calls it; all get that rank's text.
std::string say(Collective& group, std::string text, int from, const std::atomic<bool>& stop);

}  // namespace fedstill
