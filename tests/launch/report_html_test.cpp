#include "launch/report_html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fedstill {
namespace {

std::string data_of(const std::string& html) {
  const std::string open = "id=\"report\">";
  const auto begin = html.find(open) + open.size();
  return html.substr(begin, html.find("</script>", begin) - begin);
}

TEST(ReportHtml, CarriesTheReportUnchanged) {
  const nlohmann::json report = {{"seed", 7}, {"text", "a < b && \"c\" {{SCRIPT}} ü"}};
  EXPECT_EQ(nlohmann::json::parse(data_of(render_report_html(report))), report);
}

TEST(ReportHtml, LetsNothingOfTheReportBecomeMarkup) {
  const nlohmann::json report = {{"name", "</script><img src=x onerror=alert(1)><!--"}};
  const std::string html = render_report_html(report);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(data_of(html)), report);
}

TEST(ReportHtml, NeedsNoOtherFile) {
  const std::string html = render_report_html({{"seed", 0}});
  EXPECT_NE(html.find("Chart.js"), std::string::npos);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.find("<link"), std::string::npos);
  EXPECT_EQ(html.find("{{"), std::string::npos);
}

TEST(ReportHtml, SurvivesTextThatIsNotUtf8) {
  EXPECT_NO_THROW(render_report_html({{"name", "\xff\xfe"}}));
}

}  // namespace
}  // namespace fedstill
