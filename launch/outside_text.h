#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace fedstill {

// JSON that may hold text from outside (a path, a name in a file), in ASCII, so that a terminal may
// see it too: other characters are escaped, and bytes that are not UTF-8 become U+FFFD, where
// dump() would throw. indent as dump() takes it.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

// Text from outside as a terminal may see it: control characters, those that turn the direction of
// writing, and bytes that are not UTF-8 become '?'. Everything that launch prints goes through one
// of these; the second keeps the line feeds of a text of many lines.
std::string printable(const std::string& text);
std::string printable_lines(const std::string& text);

bool is_utf8(std::string_view text);

// parse_strict_json() for what is read by get<std::int64_t>(), which has no defined result for a
// number beyond 64 bits: such a number is refused. Throws DecodeError.
nlohmann::json parse_outside_json(std::string_view text, const std::string& origin);

}  // namespace fedstill
