#pragma once

#include <string>
#include <vector>

namespace fedstill {

// For the shell completion: every subcommand with its flags and the fixed values they take.
struct CommandOutline {
  std::string name, description;
  std::vector<std::string> flags;  // "--json"
  std::vector<CommandOutline> commands;
};
std::vector<CommandOutline> command_outlines();

}  // namespace fedstill
