#pragma once

#include <string>
#include <string_view>

namespace fedstill {

// The same job file in ASCII, line by line, for the TOML parser: characters beyond ASCII become
// escapes in strings and '?' in comments. The parser of toml++ 3.3 has undefined behaviour where it
// looks for white space and finds certain other characters (mended in 3.4). Throws JobError "[job]
// <origin>:<line>: …" for such a character anywhere else, for strings of several lines and for
// bytes that are not UTF-8 in a string.
std::string ascii_job_text(std::string_view text, const std::string& origin);

}  // namespace fedstill
