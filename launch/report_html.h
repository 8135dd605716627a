#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace fedstill {

// One self-contained HTML page that draws the report (the object of report.json): no network, no
// other file; Chart.js, style and script are inside. Nothing of the report can become markup or
// script. Parts that a report lacks are left out.
std::string render_report_html(const nlohmann::json& report);

}  // namespace fedstill
