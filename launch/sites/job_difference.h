#pragma once

#include <string>

#include "launch/job.h"

namespace fedstill {

// In which keys a folder's job and the one asked for differ, with both values ("clients.count = 3,
// asked for 4; …"), or nothing. Of many the first few.
std::string difference_text(Job holds, Job asked);

}  // namespace fedstill
