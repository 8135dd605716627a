#pragma once

#include <string>
#include <string_view>

namespace fedstill {

// Holds a job file to what it may consist of before the TOML parser sees it: outside comments and
// strings only ASCII, and no strings of several lines. The parser of toml++ 3.3 has undefined
// behaviour where it looks for white space and finds certain other characters (mended in 3.4).
// Throws JobError "[job] <origin>:<line>: …".
void check_job_text(std::string_view text, const std::string& origin);

}  // namespace fedstill
