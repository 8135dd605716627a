#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "launch/stages/material.h"
#include "launch/stages/rounds.h"
#include "launch/stages/run.h"

namespace fedstill {

inline constexpr int kReportSchemaVersion = 1;

// What it says of one round: the accuracies of clients, ensemble, student and bundle.
nlohmann::json round_summary(const Run& run, const RoundOutcome& outcome);

// Everything a finished job knows about itself, as report.json (docs/command-line.md): the outcome
// of its last round, and the summaries of all.
nlohmann::json make_report(const Run& job, const Material& material, const RoundOutcome& outcome);

// report.json, and report.html made from it.
void write_report(const RunFolder& folder, const nlohmann::json& report);

// The report that a run which was finished before left, so that going on with it changes nothing:
// of this student and bundle, and whole; nothing where there is none.
std::optional<nlohmann::json> finished_report(const RunFolder& folder, const RoundOutcome& outcome);

// What a user reads on the terminal at the end.
std::string summary_text(const nlohmann::json& report);

}  // namespace fedstill
