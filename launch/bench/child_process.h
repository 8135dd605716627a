#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

namespace fedstill {

inline constexpr int kCannotStart = 127;  // as a shell says it

// Runs a program, found as a shell finds it, with its standard output read line by line; the rest
// it has from this process. Returns its exit status, 128 + N where signal N ended it, kCannotStart
// where there is no such program. When stop is set the program is asked to end (SIGTERM). Throws
// std::system_error.
int run_child(const std::vector<std::string>& command,
              const std::function<void(const std::string& line)>& on_line,
              const std::atomic<bool>& stop);

}  // namespace fedstill
