// What connections cost: handshakes per second, beside `openssl s_time` and `openssl s_server`, and
// many that are idle but for a heartbeat every 15 seconds.
//   fedstill_bench_connections [--case idle,handshakes] [--connections 2000] [--seconds 5]
#include <sys/resource.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>

#include "bench/loopback.h"

namespace fedstill {
namespace {

struct Settings {
  std::string cases = "idle,handshakes";
  int connections = 2000;
  int seconds = 5;
};

double resident_megabytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

std::string run(const std::string& command) {
  std::string output;
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 512> line{};
  while (pipe != nullptr && std::fgets(line.data(), line.size(), pipe) != nullptr) {
    if (std::strstr(line.data(), "connections/user sec") != nullptr ||
        std::strstr(line.data(), "real seconds") != nullptr) {
      output += "    " + std::string(line.data());
    }
  }
  if (pipe != nullptr) ::pclose(pipe);
  return output;
}

std::string time_with_openssl(const Keys& keys, int port, int seconds) {
  return run("openssl s_time -new -tls1_3 -time " + std::to_string(seconds) +
             " -connect 127.0.0.1:" + std::to_string(port) + " -cert " +
             keys.client.certificate.string() + " -key " + keys.client.key.string() + " -CAfile " +
             keys.client.authority.string());
}

void handshakes(Keys& keys, const Settings& settings) {
  Setup setup(&keys, 0, 0);
  std::atomic<int> done{0};
  const auto begin = Clock::now();
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&] {
      while (seconds_since(begin) < settings.seconds) {
        setup.dial_in();
        ++done;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  std::printf("handshakes       dial() to Server, 2 at a time: %.0f per second\n",
              done / seconds_since(begin));
  std::printf("  openssl s_time to Server:\n%s",
              time_with_openssl(keys, setup.server().port(), settings.seconds).c_str());
  const int port = setup.server().port() + 1;
  const std::string serve =
      "exec openssl s_server -quiet -tls1_3 -Verify 1 -verify_return_error "
      "-num_tickets 0 -accept " +
      std::to_string(port) + " -cert " + keys.coordinator.certificate.string() + " -key " +
      keys.coordinator.key.string() + " -CAfile " + keys.coordinator.authority.string() +
      " > /dev/null 2>&1 < /dev/zero";
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", serve.c_str(), nullptr);
    ::_exit(127);
  }
  std::this_thread::sleep_for(std::chrono::seconds{1});
  std::printf("  openssl s_time to openssl s_server:\n%s",
              time_with_openssl(keys, port, settings.seconds).c_str());
  ::kill(child, SIGTERM);
  ::waitpid(child, nullptr, 0);
}

// The other process: connects, says how many it is, and keeps them all just alive.
[[noreturn]] void idle_clients(const Keys& keys, const Settings& settings, int from_parent,
                               int to_parent) {
  std::uint16_t port = 0;
  if (::read(from_parent, &port, sizeof(port)) != sizeof(port)) ::_exit(1);
  std::vector<std::unique_ptr<NetworkChannel>> channels;
  try {
    while (channels.size() < static_cast<std::size_t>(settings.connections)) {
      channels.push_back(dial({"127.0.0.1", port}, keys.client));
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
  }
  const auto count = static_cast<std::uint32_t>(channels.size());
  if (::write(to_parent, &count, sizeof(count)) != sizeof(count)) ::_exit(1);
  const auto begin = Clock::now();
  for (std::size_t i = 0; seconds_since(begin) < settings.seconds * 4.0; ++i) {
    channels[i % channels.size()]->send({Heartbeat{1, "training", i, i + 1}, {}});
    std::this_thread::sleep_for(std::chrono::duration<double>(15.0 / settings.connections));
  }
  ::_exit(0);
}

// The clients live in a process of their own, so that only the server is measured.
void idle(Keys& keys, const Settings& settings) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::array<int, 2> to_child{}, to_parent{};
  if (::pipe(to_child.data()) != 0 || ::pipe(to_parent.data()) != 0)
    throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child == 0) idle_clients(keys, settings, to_child[0], to_parent[1]);
  {
    const double before = resident_megabytes();
    Setup setup(&keys, 0, 0);
    const std::uint16_t port = setup.server().port();
    std::uint32_t count = 0;
    const bool is_told = ::write(to_child[1], &port, sizeof(port)) == sizeof(port) &&
                         ::read(to_parent[0], &count, sizeof(count)) == sizeof(count);
    const double cpu = cpu_seconds();
    const auto begin = Clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(settings.seconds * 3.0));
    const double share = (cpu_seconds() - cpu) / seconds_since(begin);
    const double now = resident_megabytes();
    std::printf(
        "idle             %u connections (%zu at the server)  %.1f %% of one core  %.0f MB "
        "resident (%.0f before, %.1f kB each)%s\n",
        count, setup.server().counters().connections, share * 100, now, before,
        (now - before) * 1000 / std::max(1U, count), is_told ? "" : "  NOT ALL CAME");
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  fedstill::Settings settings;
  CLI::App app("What idle connections cost a server, and handshakes beside openssl s_server");
  app.option_defaults()->always_capture_default();
  app.add_option("--case", settings.cases);
  app.add_option("--connections", settings.connections, "idle ones");
  app.add_option("--seconds", settings.seconds, "of each case");
  CLI11_PARSE(app, argc, argv);
  fedstill::print_machine(std::to_string(settings.seconds) + " seconds a case");
  fedstill::Keys keys;
  const auto wanted = [&](const char* name) {
    return settings.cases.find(name) != std::string::npos;
  };
  if (wanted("idle")) fedstill::idle(keys, settings);  // first: it forks
  if (wanted("handshakes")) fedstill::handshakes(keys, settings);
}
