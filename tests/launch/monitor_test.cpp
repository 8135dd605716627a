#include "launch/sites/monitor.h"

#include <gmock/gmock.h>

#include <regex>
#include <system_error>

#include "tests/support/http_get.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using tests::http_get;

Vitals healthy() {
  Vitals out;
  out.round = 2;
  out.state = "collecting";
  out.members = {{"training", 3}, {"uploaded", 1}};
  out.uploads = 1;
  out.expected = 4;
  out.server.bytes_received = 12'345;
  return out;
}

TEST(Monitor, ShowsWhatPrometheusReads) {
  const Monitor monitor(0, healthy);
  const std::string answer = http_get(monitor.port(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("\nfedstill_round 2\n"));
  EXPECT_THAT(answer, HasSubstr("\nfedstill_members{state=\"training\"} 3\n"));
  EXPECT_THAT(answer, HasSubstr("\nfedstill_received_bytes_total 12345\n"));
  EXPECT_THAT(answer, HasSubstr("# TYPE fedstill_received_bytes_total counter\n"));
  EXPECT_THAT(answer, HasSubstr("# TYPE fedstill_members gauge\n"));
}

TEST(Monitor, EveryLineOfTheMetricsIsAComment_OrANameAndANumber) {
  const Monitor monitor(0, healthy);
  const std::string answer = http_get(monitor.port(), "/metrics");
  std::istringstream body(answer.substr(answer.find("\r\n\r\n") + 4));
  const std::regex sample(R"([a-z_]+(\{[a-z]+="[a-z]+"\})? -?[0-9.e+]+)");
  int samples = 0;
  for (std::string line; std::getline(body, line);) {
    if (line.starts_with("# ")) continue;
    EXPECT_TRUE(std::regex_match(line, sample)) << line;
    ++samples;
  }
  EXPECT_EQ(samples, 17);
}

TEST(Monitor, HealthIsOkUntilSomethingIsWrong) {
  Vitals vitals = healthy();
  const Monitor monitor(0, [&] { return vitals; });
  EXPECT_THAT(http_get(monitor.port(), "/health"), StartsWith("HTTP/1.1 200"));
  vitals.trouble = "[store] no space left";
  const std::string full = http_get(monitor.port(), "/health");
  EXPECT_THAT(full, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(full, HasSubstr("no space left"));
  vitals = healthy();
  vitals.state = "failed";
  EXPECT_THAT(http_get(monitor.port(), "/health"), HasSubstr("the round failed"));
}

TEST(Monitor, AnswersWhereLookingFails) {
  const Monitor monitor(0, []() -> Vitals { throw std::runtime_error("stopped"); });
  EXPECT_THAT(http_get(monitor.port(), "/metrics"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(http_get(monitor.port(), "/elsewhere"), StartsWith("HTTP/1.1 404"));
}

TEST(Monitor, ATakenPortIsSaid) {
  const Monitor first(0, healthy);
  EXPECT_THROW(Monitor(first.port(), healthy), std::system_error);
}

}  // namespace
}  // namespace fedstill
