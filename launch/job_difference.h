#pragma once

#include <functional>
#include <string>

#include "launch/job.h"
#include "launch/settings.h"

namespace fedstill {

// In which keys that count a folder's job and the one asked for differ, with both values
// ("clients.count = 3, asked for 4; …"), or nothing. Of many the first few.
std::string difference_text(
    Job holds, Job asked,
    const std::function<bool(const Setting&)>& counts = [](const Setting&) { return true; });

}  // namespace fedstill
