#pragma once

#include "launch/command_line.h"

namespace fedstill {

// Does what the command says; results go to stdout, progress to stderr. Throws what main reports.
void run_command(const Command& command);

}  // namespace fedstill
