#include "launch/bench/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace fedstill {
namespace {

constexpr int kPollMilliseconds = 100;

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), "[bench] " + what);
}

struct Pipe {
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail(errno, "pipe");
  }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) close(end);
    }
  }
  void close_writer() {
    close(ends[1]);
    ends[1] = -1;
  }
  std::array<int, 2> ends{-1, -1};  // reader, writer
};

pid_t spawn(const std::vector<std::string>& command, int output) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT || error == EACCES) return -1;
  if (error != 0) fail(error, "cannot start " + command.front());
  return child;
}

// False at the end of what the child says.
bool read_some(int from, std::string& text) {
  std::array<char, 4096> bytes{};
  const ssize_t count = read(from, bytes.data(), bytes.size());
  if (count < 0 && errno == EINTR) return true;
  if (count > 0) text.append(bytes.data(), static_cast<std::size_t>(count));
  return count > 0;
}

void take_lines(std::string& text, const std::function<void(const std::string&)>& on_line) {
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
    on_line(text.substr(0, end));
    text.erase(0, end + 1);
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) fail(errno, "waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int run_child(const std::vector<std::string>& command,
              const std::function<void(const std::string& line)>& on_line,
              const std::atomic<bool>& stop) {
  Pipe pipe;
  const pid_t child = spawn(command, pipe.ends[1]);
  if (child < 0) return kCannotStart;
  pipe.close_writer();
  std::string text;
  bool asked = false;
  for (bool open = true; open;) {
    pollfd reader{pipe.ends[0], POLLIN, 0};
    if (poll(&reader, 1, kPollMilliseconds) > 0) open = read_some(pipe.ends[0], text);
    take_lines(text, on_line);
    if (stop.load() && !asked) {
      kill(child, SIGTERM);
      asked = true;
    }
  }
  return wait_for(child);
}

}  // namespace fedstill
