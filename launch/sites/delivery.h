#pragma once

#include "launch/sites/service.h"
#include "launch/stages/run.h"

namespace fedstill {

// Waits until everybody who ever joined, and is not excluded, has the last bundle, at most
// round.linger_minutes. Throws Stopped.
void await_delivery(Service& service, const Run& run);

}  // namespace fedstill
