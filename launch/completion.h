#pragma once

#include <string>
#include <string_view>

namespace fedstill {

// A completion script for bash, zsh or fish: commands, flags, files, and the keys after --set.
// Throws UsageError for another shell.
std::string completion_script(std::string_view shell);

}  // namespace fedstill
