#include "launch/sites/service_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>
#include <vector>

#include "tests/launch/process.h"
#include "tests/support/file_size_limit.h"

namespace fedstill::tests {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class ServiceLogTest : public ::testing::Test {
 protected:
  ServiceLog::Options options(LogLevel level = LogLevel::kInfo) const { return {file_, level}; }
  std::string text() const { return text_of(file_); }

  TempFolder temp_;
  std::filesystem::path file_ = temp_ / "service.log";
};

TEST_F(ServiceLogTest, ALineHasTimeLevelAndNoControlCharacters) {
  ServiceLog log(options());
  log.write(LogLevel::kWarning, "refused \x1b[31m 10.0.0.7\n2026 info a line that never was");
  EXPECT_THAT(text(), MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z warning "
                                   "refused \\?\\[31m 10\\.0\\.0\\.7\\?2026 info [a-z ]+\n"));
}

TEST_F(ServiceLogTest, TheLevelHoldsAndMayChange) {
  ServiceLog log(options(LogLevel::kWarning));
  log.write(LogLevel::kInfo, "quiet");
  EXPECT_EQ(text(), "");
  log.set_level(parse_log_level("debug"));
  log.write(LogLevel::kDebug, "loud");
  EXPECT_THAT(text(), EndsWith("debug loud\n"));
  EXPECT_THROW(parse_log_level("verbose"), std::invalid_argument);
  EXPECT_EQ(name(parse_log_level("error")), "error");
}

TEST_F(ServiceLogTest, ASignalTurnsDebugOnAndOff) {
  ServiceLog log(options());
  for (const bool on : {true, false, true, false}) {
    ::raise(SIGUSR2);
    log.write(LogLevel::kDebug, on ? "seen" : "hidden");
  }
  EXPECT_THAT(text(), HasSubstr("seen"));
  EXPECT_THAT(text(), Not(HasSubstr("hidden")));
}

TEST_F(ServiceLogTest, ASignalOpensTheFileAnew) {
  ServiceLog log(options());
  log.write(LogLevel::kInfo, "before");
  std::filesystem::rename(file_, temp_ / "moved");
  log.write(LogLevel::kInfo, "still there");
  ::raise(SIGHUP);
  log.write(LogLevel::kInfo, "after");
  EXPECT_THAT(text_of(temp_ / "moved"), HasSubstr("still there"));
  EXPECT_THAT(text(), EndsWith("info after\n"));
  EXPECT_THAT(text(), Not(HasSubstr("still there")));
}

TEST_F(ServiceLogTest, OldFilesAreNumberedAndFew) {
  ServiceLog::Options small = options();
  small.max_bytes = 200;
  small.keep = 2;
  for (int i = 0; i < 30; ++i) {
    ServiceLog log(small);  // every start goes on where the last one was
    log.write(LogLevel::kInfo, "line " + std::to_string(i) + std::string(40, '.'));
  }
  std::string all;
  for (const char* name : {"service.log.2", "service.log.1", "service.log"}) {
    EXPECT_LE(std::filesystem::file_size(temp_ / name), 200U) << name;
    all += text_of(temp_ / name);
  }
  EXPECT_FALSE(std::filesystem::exists(temp_ / "service.log.3"));
  EXPECT_THAT(all, HasSubstr("line 29."));
  EXPECT_LT(all.find("line 28."), all.find("line 29."));
  EXPECT_THAT(all, Not(HasSubstr("line 1.")));
}

TEST_F(ServiceLogTest, AFullDiskLosesLinesAndSaysSo) {
  ServiceLog log(options());
  log.write(LogLevel::kInfo, "first");
  {
    const FileSizeLimit limit(std::filesystem::file_size(file_) + 10);
    log.write(LogLevel::kInfo, "lost");
    log.write(LogLevel::kInfo, "lost too");
  }
  log.write(LogLevel::kInfo, "room again");
  EXPECT_THAT(text(), MatchesRegex("[^\n]* first\n[^\n]* warning 2 lines could not be written\n"
                                   "[^\n]* room again\n"));
}

TEST_F(ServiceLogTest, ManyThreadsWriteWholeLines) {
  ServiceLog log(options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) log.write(LogLevel::kInfo, std::string(100, 'x'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::istringstream lines(text());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_THAT(line, EndsWith("Z info " + std::string(100, 'x')));
  }
  EXPECT_EQ(count, 400);
}

TEST_F(ServiceLogTest, WithoutAFileNothingIsWritten) {
  ServiceLog log({});
  log.write(LogLevel::kError, "nowhere");
  EXPECT_THROW(ServiceLog({.file = temp_ / "absent" / "log"}), std::system_error);
}

}  // namespace
}  // namespace fedstill::tests
