#pragma once

#include <CLI/App.hpp>
#include <optional>

#include "launch/command_line.h"

namespace fedstill {

// The commands of a federation over a network, for parse_command_line().
struct SiteCommands {
  CoordinatorCommand coordinator;
  ClientCommand client;
  PreflightCommand preflight;
  AdminCommand admin;  // of all commands that ask a running coordinator
  AuditCommand audit;
  ShardsCommand shards;
  CertCommand cert;
};
void add_site_commands(CLI::App& root, SiteCommands& commands);
std::optional<Command> chosen_site_command(const CLI::App& root, const SiteCommands& commands);

}  // namespace fedstill
