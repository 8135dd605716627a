#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/command_line.h"

namespace fedstill {

// fedstill shards: writes what every client of a job owns into a folder of its own, for trying a
// federation of several processes on public data. Throws as simulate does.
nlohmann::json write_shards(const ShardsCommand& command);
std::string shards_text(const nlohmann::json& written);  // for people

}  // namespace fedstill
