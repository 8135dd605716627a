#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fedstill {

// JSON that may hold text from outside (a path, a name in a file): bytes that are not UTF-8 become
// U+FFFD, where dump() would throw. indent as dump() takes it.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

// Text from a file as a terminal may see it: control characters become '?'.
std::string printable(std::string text);

}  // namespace fedstill
