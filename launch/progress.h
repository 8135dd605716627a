#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <mutex>
#include <string>
#include <vector>

namespace fedstill {

enum class ProgressMode { kLive, kPlain, kQuiet };

struct ProgressOptions {
  ProgressMode mode = ProgressMode::kPlain;
  bool color = false;
  int width = 80;  // of the terminal
  int height = 24;
  std::function<double()> now;  // seconds on any clock; empty: the steady clock
};

// What is being done and how far it is: a redrawn block of bars on a terminal, plain lines at
// intervals elsewhere. Any thread may report; what a terminal must not see of the texts becomes
// '?'.
class Progress {
 public:
  Progress(std::ostream& out, ProgressOptions options);
  ~Progress();

  struct Task {
    std::string name;        // "client-03"
    std::string note;        // "resnet8, 4,012 images"
    std::int64_t total = 0;  // images to see
    std::int64_t done = 0;
    bool started = false, finished = false;
  };

  void begin_stage(const std::string& name, std::vector<Task> tasks);
  void advance(std::size_t task, std::int64_t done);  // images of the task seen so far
  void finish(std::size_t task, const std::string& result);
  void end_stage(const std::string& result);  // leaves one line
  void message(const std::string& line);
  // Takes the bars away; called when the run ends early.
  void abandon();

 private:
  double now() const;
  void show(const std::string& line);  // above the bars
  void redraw(bool always);
  void erase();
  void plain_line();

  std::ostream& out_;
  ProgressOptions options_;
  std::mutex mutex_;
  std::string stage_;
  std::vector<Task> tasks_;
  double began_ = 0.0, shown_ = 0.0;
  int drawn_ = 0;  // lines on the screen below the cursor's start
};

// The lines of the live view: one for the stage, one per task that fits in the height.
std::vector<std::string> progress_lines(const std::string& stage,
                                        const std::vector<Progress::Task>& tasks, double elapsed,
                                        const ProgressOptions& options);

// For the process's stderr: live on a terminal unless quiet, colours unless NO_COLOR is set.
ProgressOptions terminal_progress(bool quiet);

std::string duration_text(double seconds);  // "4.1 s", "1 min 20 s"
std::string grouped(std::int64_t number);   // "40,000"

}  // namespace fedstill
