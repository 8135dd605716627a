#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "launch/run_folder.h"

namespace fedstill {

// The result that a run which was finished before left under this name, so that going on with it
// changes nothing. Nothing, and it is made anew, where it is missing, damaged or larger than so
// many bytes, or is_whole does not find in it what it should (or throws json::exception).
std::optional<nlohmann::json> finished_result(
    const RunFolder& folder, std::string_view name, std::size_t max_bytes,
    const std::function<bool(const nlohmann::json&)>& is_whole);

}  // namespace fedstill
