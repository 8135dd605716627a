#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "launch/job.h"

namespace fedstill {

// Names of the presets: "quick" is the default job (minutes), "full" trains longer.
std::vector<std::string_view> preset_names();
Job make_preset(std::string_view name);  // throws JobError

// Changes what the TOML text sets. Strict: unknown sections and keys, wrong types and values out of
// range throw JobError "[job] <origin>:<line>: …", unknown names with a suggestion.
void apply_toml(Job& job, std::string_view text, const std::string& origin);
void apply_job_file(Job& job, const std::filesystem::path& path);  // or InputError

// What a command asks for: the preset, then the job file if one is given, then the assignments.
Job assemble_job(std::string_view preset, const std::filesystem::path& file,
                 const std::vector<std::string>& assignments);

// "clients.count=20". The value is TOML, or bare text where a string is wanted, or a list of bare
// names separated by commas.
void apply_assignment(Job& job, const std::string& assignment);

// The effective job as commented TOML; reading it back gives an equal job.
std::string write_job(const Job& job);
nlohmann::json job_json(const Job& job);  // {"data": {"source": …}, …}

// SHA-256 of the settings a result depends on.
std::string job_hash(const Job& job);

}  // namespace fedstill
