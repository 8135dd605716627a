#include "launch/stop_signal.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "launch/exit_code.h"

namespace fedstill {
namespace {

// The globals of the program: a signal handler can reach nothing else.
std::atomic<bool> g_stop{false};
std::atomic<const LastWords*> g_last_words{nullptr};
static_assert(std::atomic<bool>::is_always_lock_free);
static_assert(std::atomic<const LastWords*>::is_always_lock_free);

extern "C" void on_stop_signal(int) {
  if (g_stop.exchange(true)) ::_exit(static_cast<int>(ExitCode::kInterrupted));
  const int error = errno;
  if (const LastWords* words = g_last_words.load()) words->say();
  errno = error;
}

}  // namespace

LastWords::LastWords(std::string line, std::vector<pid_t> before)
    : line_(std::move(line) + "\n"), before_(std::move(before)) {
  g_last_words.store(this);
}

LastWords::~LastWords() { g_last_words.store(nullptr); }

void LastWords::say() const {
  for (const pid_t process : before_) {
    if (::kill(process, 0) == 0) return;
  }
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line_.data(), line_.size());
}

std::atomic<bool>& stop_at_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGUSR1, &action, nullptr);  // what Slurm sends before the time is up
  return g_stop;
}

void ignore_failing_writes() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

void end_at_closed_pipes() { ::signal(SIGPIPE, SIG_DFL); }

void end_if_unread(int descriptor) {
  pollfd other{descriptor, 0, 0};
  if (::poll(&other, 1, 0) <= 0 || (other.revents & POLLERR) == 0) return;
  end_at_closed_pipes();
  ::raise(SIGPIPE);
}

}  // namespace fedstill
