#include "launch/bench/child_process.h"

#include <gtest/gtest.h>

namespace fedstill {
namespace {

struct Outcome {
  int status = 0;
  std::vector<std::string> lines;
};

Outcome run(const std::vector<std::string>& command) {
  const std::atomic<bool> stop = false;
  Outcome found;
  found.status = run_child(
      command, [&](const std::string& line) { found.lines.push_back(line); }, stop);
  return found;
}

TEST(ChildProcess, TellsLinesAndStatus) {
  const Outcome found = run({"sh", "-c", "echo one; printf 'two\\nrest'; exit 5"});
  EXPECT_EQ(found.status, 5);
  EXPECT_EQ(found.lines, (std::vector<std::string>{"one", "two"}));
}

TEST(ChildProcess, TellsOfASignal) { EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).status, 128 + 9); }

TEST(ChildProcess, TellsOfAProgramThatIsNotThere) {
  EXPECT_EQ(run({"no-such-program-anywhere"}).status, kCannotStart);
}

TEST(ChildProcess, EndsWhenStopped) {
  const std::atomic<bool> stop = true;
  EXPECT_EQ(run_child(
                {"sleep", "1000"}, [](const std::string&) {}, stop),
            128 + 15);
}

}  // namespace
}  // namespace fedstill
