#pragma once

#include <sys/wait.h>

#include <csignal>
#include <filesystem>

#include "bench/loopback.h"
#include "launch/sites/service.h"

namespace fedstill {

// What the benchmarks of the whole coordinator share: clients in a process of their own, so that
// only the coordinator is measured, and its memory and files.
inline std::size_t status_kilobytes(const char* key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    std::size_t value = 0;
    if (word == key && file >> value) return value;
  }
  return 0;
}
inline double megabytes(const char* key) {
  return static_cast<double>(status_kilobytes(key)) * 1024 / 1e6;
}
inline double resident_megabytes() { return megabytes("VmRSS:"); }
inline std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count - 1;  // without the listing's own
}

// The largest value a figure takes while this lives.
class Peak {
 public:
  explicit Peak(std::function<double()> look)
      : thread_([this, look = std::move(look)] {
          for (; !is_over_; std::this_thread::sleep_for(std::chrono::milliseconds{5})) {
            value_ = std::max(value_.load(), look());
          }
        }) {}
  ~Peak() { stop(); }
  double stop() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
    return value_;
  }

 private:
  std::atomic<bool> is_over_ = false;
  std::atomic<double> value_ = 0;
  std::thread thread_;
};

// Runs clients(port) in a child process once it is told the port. Made before any thread.
class ClientProcess {
 public:
  explicit ClientProcess(const std::function<void(std::uint16_t)>& clients) {
    std::fflush(stdout);  // or it would be printed twice
    if (::pipe(pipe_) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ != 0) return;
    std::uint16_t port = 0;
    int code = 1;
    try {
      if (::read(pipe_[0], &port, sizeof(port)) == sizeof(port)) clients(port);
      code = 0;
    } catch (const std::exception& error) {
      std::cerr << "clients: " << error.what() << std::endl;
    }
    std::fflush(stdout);
    ::_exit(code);
  }
  ~ClientProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void start(std::uint16_t port) {
    if (::write(pipe_[1], &port, sizeof(port)) != sizeof(port)) throw std::runtime_error("pipe");
  }
  bool wait() {
    int status = 1;
    ::waitpid(pid_, &status, 0);
    return status == 0;
  }

 private:
  int pipe_[2]{};
  pid_t pid_ = -1;
};

// A coordinator on a port of this machine, over TLS.
struct RealCoordinator {
  RealCoordinator(const std::filesystem::path& folder, Keys& keys,
                  const CoordinatorOptions& options, const ReceptionOptions& reception = {})
      : store(folder), coordinator(options, store, Service::now()) {
    ServerOptions server;
    server.credentials = keys.coordinator;
    service = std::make_unique<Service>(server, coordinator, reception,
                                        [](const std::string& what) { std::cerr << what << "\n"; });
  }
  Store store;
  Coordinator coordinator;
  std::unique_ptr<Service> service;
};

inline CoordinatorOptions coordinator_options(int clients, std::uint32_t rounds = 1) {
  CoordinatorOptions options;
  options.round.expected_clients = options.round.min_clients = clients;
  options.plan = {std::string(64, 'a'), 1, std::string(64, 'b'), 3};
  options.plan.rounds = rounds;
  options.image = {1, 4, 4};
  options.classes = 3;
  return options;
}

}  // namespace fedstill
