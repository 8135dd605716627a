#pragma once

#include <exception>
#include <string>

#include "launch/exit_code.h"

namespace fedstill {

// How an exception is told to the user: one line, what to do about it, and the exit code.
struct Failure {
  ExitCode code = ExitCode::kInternal;
  std::string message;
  std::string hint;
};
Failure describe(const std::exception_ptr& error);

}  // namespace fedstill
