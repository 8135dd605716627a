#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "launch/stages/clients.h"
#include "launch/stages/edge_file.h"
#include "launch/stages/material.h"
#include "launch/stages/run.h"
#include "launch/stages/student.h"
#include "launch/stages/teaching.h"

namespace fedstill {

inline constexpr int kReportSchemaVersion = 1;

// Everything a finished run knows about itself, as report.json (docs/formats.md).
nlohmann::json make_report(const Run& run, const Material& material,
                           const std::vector<ClientRecord>& clients, const Teaching& teaching,
                           const Student& student, const EdgeFile& bundle);

// report.json, and report.html made from it.
void write_report(const RunFolder& folder, const nlohmann::json& report);

// What a user reads on the terminal at the end.
std::string summary_text(const nlohmann::json& report);

}  // namespace fedstill
