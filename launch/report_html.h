#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace fedstill {

// The report as one self-contained HTML page.
std::string render_report_html(const nlohmann::json& report);

}  // namespace fedstill
