#pragma once

#include <filesystem>
#include <string>

namespace fedstill {

// What goes on with the folder of a program that was interrupted.
inline std::string command_that_goes_on(const std::string& program,
                                        const std::filesystem::path& folder) {
  if (program == "coordinator") {
    return "fedstill coordinator --state " + folder.string() + " with its --identity and --listen";
  }
  return "fedstill " + program + " --resume " + folder.string();
}

}  // namespace fedstill
