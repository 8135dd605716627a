#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/launch/temp_folder.h"

namespace fedstill::tests {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The real program, running. Its output goes to files.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments,
                   const std::string& program = FEDSTILL_PROGRAM) {
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork failed");
    if (pid_ == 0) become(program, arguments);
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const {
    if (pid_ > 0) ::kill(pid_, number);  // of no process: of all
  }
  pid_t pid() const { return pid_; }
  std::vector<pid_t> children() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
    return {std::istream_iterator<pid_t>(list), {}};
  }

  // Whether it ends by itself within the time.
  bool ends_within(std::chrono::microseconds time) const {
    if (code_) return true;
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    pollfd ended{handle, POLLIN, 0};
    const timespec most{time.count() / 1'000'000, time.count() % 1'000'000 * 1000};
    const bool has_ended = ::ppoll(&ended, 1, &most, nullptr) > 0;
    ::close(handle);
    return has_ended;
  }

  // The exit code, or minus the signal that ended it.
  int wait() {
    if (code_) return *code_;
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return *code_;
  }

  // Waits until the file holds the text; false if the program ended first. Polls the process, so no
  // guess about its speed is made.
  bool wait_for_text(const std::filesystem::path& file, const std::string& text) const {
    return poll_until([&] { return text_of(file).find(text) != std::string::npos; });
  }

  // The same for a file whose name ends so.
  bool wait_for_file(const std::filesystem::path& folder, const std::string& ending) const {
    return poll_until([&] {
      std::error_code ignored;
      for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        if (entry.path().filename().string().ends_with(ending)) return true;
      }
      return false;
    });
  }

  std::string out() const { return text_of(files_ / "out"); }
  std::string err() const { return text_of(err_file()); }
  std::filesystem::path err_file() const { return files_ / "err"; }

 private:
  template <typename Condition>
  bool poll_until(const Condition& holds) const {
    const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    pollfd ended{handle, POLLIN, 0};
    bool found = false;
    while (!(found = holds())) {
      if (::poll(&ended, 1, 2) > 0) break;
    }
    ::close(handle);
    return found;
  }

  [[noreturn]] void become(std::string program, const std::vector<std::string>& arguments) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nobody behind
    ::signal(SIGINT, SIG_DFL);           // what a shell begins in the background ignores it
    redirect("out", STDOUT_FILENO);
    redirect("err", STDERR_FILENO);
    std::vector<char*> argv{program.data()};
    std::vector<std::string> copies = arguments;
    for (auto& argument : copies) argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  void redirect(const std::string& name, int descriptor) const {
    const int file = ::open((files_ / name).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(126);
  }

  TempFolder files_;
  pid_t pid_ = -1;
  std::optional<int> code_;  // once it was waited for
};

struct Finished {
  int code = 0;
  std::string out, err;
};

inline Finished run_program(const std::vector<std::string>& arguments) {
  Process process(arguments);
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

}  // namespace fedstill::tests
