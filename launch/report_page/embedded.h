#pragma once

#include <string_view>

// The parts of the report page, embedded at build time (cmake/FedstillEmbed.cmake).
namespace fedstill::report_page {

std::string_view page();
std::string_view style();
std::string_view script();
std::string_view chart_js();

}  // namespace fedstill::report_page
