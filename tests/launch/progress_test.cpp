#include "launch/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "launch/progress_bar.h"

namespace fedstill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Watched {
  double time = 0.0;
  std::ostringstream out;
  Progress progress;
  explicit Watched(ProgressMode mode, bool color = false)
      : progress(out, {mode, color, 80, 24, [this] { return time; }}) {}
  std::string take() {
    std::string text = out.str();
    out.str("");
    return text;
  }
};

std::vector<Progress::Task> two_tasks() {
  return {{"client-00", "mlp", 1000}, {"client-01", "cnn3", 1000}};
}

TEST(Progress, NamesFromOutsideDoNotDriveTheTerminal) {
  for (const auto mode : {ProgressMode::kPlain, ProgressMode::kLive}) {
    Watched w(mode);
    w.progress.begin_stage("training\a", {{"cli\aent", "no\ate", 10}});
    w.progress.advance(0, 1);
    w.progress.finish(0, "res\ault");
    w.progress.message("mess\aage");
    w.progress.end_stage("end\a");
    const std::string shown = w.take();
    EXPECT_THAT(shown, HasSubstr("mess?age"));
    EXPECT_THAT(shown, Not(HasSubstr("\a")));
  }
}

TEST(Progress, AHandfulOfMeasurementsAMinuteIsNoRate) {
  const std::string line =
      stage_summary("distilling", {{.name = "", .note = "", .total = 9, .done = 3}}, 30.0);
  EXPECT_EQ(line, "distilling   33 %  about 1 min 0 s left");
}

TEST(Progress, PlainLinesAreRareAndSayHowFar) {
  Watched w(ProgressMode::kPlain);
  w.progress.begin_stage("training 2 clients", two_tasks());
  EXPECT_EQ(w.take(), "training 2 clients …\n");
  for (int i = 0; i < 400; ++i) {
    w.time = i * 0.01;
    w.progress.advance(0, i);
  }
  EXPECT_EQ(w.take(), "");
  w.time = 10.0;
  w.progress.advance(0, 500);
  const std::string line = w.take();
  EXPECT_THAT(line, HasSubstr("25 %"));
  EXPECT_THAT(line, HasSubstr("50 images/s"));
  EXPECT_THAT(line, HasSubstr("about 30 s left"));
  w.progress.finish(0, "done");
  EXPECT_EQ(w.take(), "  client-00: done\n");
  w.progress.end_stage("2 updates");
  EXPECT_EQ(w.take(), "training 2 clients: 2 updates (10 s)\n");
}

TEST(Progress, PlainOutputHasNoEscapes) {
  Watched w(ProgressMode::kPlain);
  w.progress.begin_stage("stage", two_tasks());
  w.time = 100.0;
  w.progress.advance(1, 10);
  w.progress.finish(1, "x");
  w.progress.end_stage("y");
  EXPECT_THAT(w.take(), Not(HasSubstr("\x1b")));
}

TEST(Progress, QuietSaysNothing) {
  Watched w(ProgressMode::kQuiet);
  w.progress.begin_stage("stage", two_tasks());
  w.time = 100.0;
  w.progress.advance(1, 10);
  w.progress.message("warning");
  w.progress.end_stage("y");
  EXPECT_EQ(w.take(), "");
}

TEST(Progress, LiveRedrawsAtMostTenTimesASecond) {
  Watched w(ProgressMode::kLive);
  w.progress.begin_stage("stage", two_tasks());
  w.take();
  int redraws = 0;
  for (int i = 1; i <= 1000; ++i) {
    w.time = i * 0.001;
    w.progress.advance(0, i);
    if (!w.take().empty()) ++redraws;
  }
  EXPECT_GE(redraws, 8);
  EXPECT_LE(redraws, 10);
}

TEST(Progress, LiveTakesItsBarsAwayBeforeALineAndAtTheEnd) {
  Watched w(ProgressMode::kLive);
  w.progress.begin_stage("stage", two_tasks());
  w.take();
  w.progress.message("hello");
  EXPECT_THAT(w.take(), testing::StartsWith("\x1b[3A\x1b[Jhello\n"));
  w.progress.abandon();
  EXPECT_EQ(w.take(), "\x1b[3A\x1b[J");
}

TEST(ProgressLines, FitTheTerminal) {
  ProgressOptions options;
  options.width = 70;
  options.height = 10;
  std::vector<Progress::Task> tasks;
  for (int i = 0; i < 50; ++i)
    tasks.push_back({"client-" + std::to_string(10 + i), std::string(200, 'x'), 10});
  tasks[40].started = true;
  const auto lines = progress_lines("stage", tasks, 1.0, options);
  EXPECT_LT(lines.size(), 10u);
  EXPECT_THAT(lines[1], HasSubstr("client-50"));  // the one at work is shown first
  for (const auto& line : lines) {
    const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    });
    EXPECT_LE(characters, 70) << line;
  }
}

TEST(ProgressLines, ColoursOnlyWhenAsked) {
  ProgressOptions options;
  EXPECT_THAT(progress_lines("s", two_tasks(), 1.0, options)[1], Not(HasSubstr("\x1b")));
  options.color = true;
  EXPECT_THAT(progress_lines("s", two_tasks(), 1.0, options)[1], HasSubstr("\x1b["));
}

TEST(DurationText, ReadsWell) {
  EXPECT_EQ(duration_text(0.04), "0.0 s");
  EXPECT_EQ(duration_text(4.14), "4.1 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(59.97), "1 min 0 s");
  EXPECT_EQ(duration_text(3725), "62 min 5 s");
}

TEST(Grouped, SeparatesThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-1000), "-1,000");
}

}  // namespace
}  // namespace fedstill
