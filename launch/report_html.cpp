#include "launch/report_html.h"

#include <nlohmann/json.hpp>

namespace fedstill {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string render_report_html(const nlohmann::json& report) {
  nlohmann::json shown = report;
  shown.erase("samples");
  return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>fedstill</title><pre>" +
         escaped(shown.dump(2)) + "</pre></html>\n";
}

}  // namespace fedstill
