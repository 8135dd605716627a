#include "launch/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ostream>

#include "launch/outside_text.h"
#include "launch/progress_bar.h"

namespace fedstill {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kPlainSeconds = 10.0;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Progress::Progress(std::ostream& out, ProgressOptions options)
    : out_(out), options_(std::move(options)) {}

Progress::~Progress() { abandon(); }

double Progress::now() const { return options_.now ? options_.now() : steady_seconds(); }

void Progress::begin_stage(const std::string& name, std::vector<Task> tasks) {
  const std::lock_guard guard(mutex_);
  stage_ = printable(name);
  tasks_ = std::move(tasks);
  for (auto& task : tasks_) {
    task.name = printable(task.name);
    task.note = printable(task.note);
  }
  began_ = shown_ = now();
  if (options_.mode == ProgressMode::kPlain) out_ << stage_ << " …\n" << std::flush;
  redraw(true);
}

void Progress::advance(std::size_t task, std::int64_t done) {
  const std::lock_guard guard(mutex_);
  if (task >= tasks_.size()) return;
  tasks_[task].started = true;
  tasks_[task].done = std::min(done, tasks_[task].total);
  redraw(false);
}

void Progress::finish(std::size_t task, const std::string& result) {
  const std::lock_guard guard(mutex_);
  if (task >= tasks_.size()) return;
  Task& t = tasks_[task];
  t.done = t.total;
  t.started = t.finished = true;
  t.note = printable(result);
  if (options_.mode == ProgressMode::kPlain) {
    out_ << "  " << t.name << ": " << t.note << "\n" << std::flush;
  }
  redraw(true);
}

void Progress::end_stage(const std::string& result) {
  const std::lock_guard guard(mutex_);
  show(stage_ + ": " + result + " (" + duration_text(now() - began_) + ")");
  stage_.clear();
  tasks_.clear();
}

void Progress::message(const std::string& line) {
  const std::lock_guard guard(mutex_);
  show(line);
  redraw(true);
}

void Progress::abandon() {
  const std::lock_guard guard(mutex_);
  erase();
  stage_.clear();
  tasks_.clear();
}

void Progress::show(const std::string& line) {
  if (options_.mode == ProgressMode::kQuiet) return;
  erase();
  out_ << printable(line) << "\n" << std::flush;
}

void Progress::redraw(bool always) {
  if (stage_.empty()) return;
  const double time = now();
  if (options_.mode == ProgressMode::kPlain && time - shown_ >= kPlainSeconds) {
    shown_ = time;
    plain_line();
  }
  if (options_.mode != ProgressMode::kLive) return;
  if (!always && time - shown_ < kRedrawSeconds) return;
  shown_ = time;
  erase();
  const auto lines = progress_lines(stage_, tasks_, time - began_, options_);
  for (const auto& line : lines) out_ << line << "\n";
  drawn_ = static_cast<int>(lines.size());
  out_ << std::flush;
}

void Progress::erase() {
  if (drawn_ > 0) out_ << "\x1b[" << drawn_ << "A\x1b[J";
  drawn_ = 0;
}

void Progress::plain_line() {
  out_ << "  " << stage_summary(stage_, tasks_, now() - began_) << "\n" << std::flush;
}

ProgressOptions terminal_progress(bool quiet) {
  ProgressOptions options;
  const char* terminal = std::getenv("TERM");
  const bool live =
      ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string(terminal) != "dumb";
  options.mode = quiet ? ProgressMode::kQuiet : live ? ProgressMode::kLive : ProgressMode::kPlain;
  const char* no_color = std::getenv("NO_COLOR");
  options.color = live && (no_color == nullptr || *no_color == '\0');
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
    options.height = size.ws_row;
  }
  return options;
}

}  // namespace fedstill
