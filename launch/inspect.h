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

// Any file that fedstill writes: a model or bundle as a table of nodes with shapes and costs, a
// lesson (its student, and how sure its soft labels are), a split, an ONNX file, a prediction
// cache, a checkpoint, a report (also given as its run folder). Throws DecodeError or
// std::system_error.
Inspection inspect(const std::filesystem::path& path);
Inspection inspect_report(std::string_view json, const std::string& origin);

}  // namespace fedstill
