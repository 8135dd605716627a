#include "launch/report_html.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "launch/report_page/embedded.h"

namespace fedstill {
namespace {

// Inside <script> only "</" and "<!--" could end or change the element; JSON allows < as an escape.
std::string json_for_script(const nlohmann::json& report) {
  std::string safe;
  for (const char c : report.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string render_report_html(const nlohmann::json& report) {
  const std::string data = json_for_script(report);
  const std::initializer_list<std::pair<std::string_view, std::string_view>> parts = {
      {"{{STYLE}}", report_page::style()},
      {"{{REPORT}}", data},
      {"{{CHART}}", report_page::chart_js()},
      {"{{SCRIPT}}", report_page::script()}};
  std::string html;
  std::string_view rest = report_page::page();
  for (const auto& [mark, content] :
       parts) {  // in the order of the page, so that no content is searched for marks
    const std::size_t at = rest.find(mark);
    html.append(rest.substr(0, at)).append(content);
    rest.remove_prefix(at + mark.size());
  }
  return html.append(rest);
}

}  // namespace fedstill
