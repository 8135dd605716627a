#pragma once

#include <string>
#include <vector>

#include "launch/progress.h"

namespace fedstill {

// "training clients  43 %  12,300 images/s  about 20 s left"
std::string stage_summary(const std::string& stage, const std::vector<Progress::Task>& tasks,
                          double elapsed);

}  // namespace fedstill
