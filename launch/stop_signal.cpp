#include "launch/stop_signal.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "launch/exit_code.h"

namespace fedstill {
namespace {

// The one global of the program: a signal handler can reach nothing else.
std::atomic<bool> g_stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_stop_signal(int) {
  if (g_stop.exchange(true)) ::_exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace

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
