#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/command_line.h"

namespace fedstill {

// fedstill preflight: everything that keeps a site from taking part, step by step: name, TCP, TLS
// and certificates, version, clock, data, disk. {"ok": …, "checks": [{"check", "ok", "found",
// "do"}]}; a step that needs an earlier one that failed is left out. Never throws for what it looks
// for.
nlohmann::json preflight(const PreflightCommand& command);
std::string preflight_text(const nlohmann::json& found);  // for people

}  // namespace fedstill
