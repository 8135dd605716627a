#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <vector>

namespace fedstill {

// For work that looks at the flag: from here on SIGINT, SIGTERM and SIGUSR1 set it, and the work
// stops at the next step with its state on disk. A second signal ends the process at once with
// ExitCode::kInterrupted. Everywhere else the first one ends it, as the system does.
std::atomic<bool>& stop_at_signals();

// While it lives, the first of these signals is answered at once with this line on stderr, unless
// one of the processes of `before` lives: of several with one fate the first has the word. One at a
// time.
class LastWords {
 public:
  LastWords(std::string line, std::vector<pid_t> before);
  ~LastWords();
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
  void say() const;  // from a signal handler, too

 private:
  const std::string line_;
  const std::vector<pid_t> before_;
};

// A write to a closed pipe or beyond the limit of a file is an error that can be told, not a
// signal.
void ignore_failing_writes();

// From here on a write to a closed pipe ends the process, as the system has it.
void end_at_closed_pipes();
// Ends the process in that way if nobody reads what is written there any more.
void end_if_unread(int descriptor);

}  // namespace fedstill
