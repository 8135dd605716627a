#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace fedstill {

// What is in a file, for scripts and for people.
struct Inspection {
  nlohmann::json data;
  std::string text;
};

// A file that fedstill writes for others: a model or bundle as a table of nodes with shapes and
// costs, a lesson (its student, and how sure its soft labels are), a split, an ONNX file, a
// prediction cache, a predictions file, a checkpoint, an audit log, a report or fedavg's result
// (also given as the run folder; of a run that is not finished it tells how far it is), a job,
// events, metrics. Throws InputError, DecodeError, JobError, std::system_error.
Inspection inspect(const std::filesystem::path& path);
Inspection inspect_report(std::string_view json, const std::string& origin);

}  // namespace fedstill
