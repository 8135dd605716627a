#pragma once

#include "launch/sites/service.h"
#include "launch/stages/run.h"

namespace fedstill {

// Waits until everybody who ever joined has the last bundle, but for the excluded and those whose
// update was refused; at most round.linger_minutes. Throws Stopped.
void await_delivery(Service& service, const Run& run);

}  // namespace fedstill
