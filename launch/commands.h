#pragma once

#include "launch/command_line.h"
#include "launch/exit_code.h"

namespace fedstill {

// Does what the command says; results go to stdout, progress to stderr. Throws what main reports;
// another code than kOk was told already.
ExitCode run_command(const Command& command);

}  // namespace fedstill
