// How fast bytes cross the loopback, beside a bare read/write loop in the same run; handshakes;
// idle connections. Both ends run on this machine and share its cores.
//   fedstill_bench_transfer [--case stream,eight,handshakes,idle] [--gigabytes 3] [--repetitions 3]
//                           [--chunk-bytes 1048576] [--connections 2000] [--seconds 5]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/support/test_certificates.h"
#include "transport/tls/dial.h"
#include "transport/tls/server.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::hours kLong{1};

struct Settings {
  std::string cases = "stream,eight,handshakes,idle";
  double gigabytes = 3;
  int repetitions = 3;
  std::size_t chunk_bytes = 1 << 20;
  int connections = 2000;
  int seconds = 5;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_megabytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Keys {
  TestAuthority authority;
  Credentials coordinator = authority.coordinator(), client = authority.client();
};

Frame chunk(std::size_t bytes) {
  return {BlobChunk{std::string(64, 'a'), 0}, std::vector<std::byte>(bytes, std::byte{7})};
}

// Bytes per second of write(2) on one thread and read(2) on another, a chunk at a time.
double bare_loop(std::uint64_t total, std::size_t chunk_bytes) {
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0), out = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  if (::bind(listening, generic, size) != 0 || ::listen(listening, 1) != 0 ||
      ::getsockname(listening, generic, &size) != 0 || ::connect(out, generic, size) != 0) {
    throw std::runtime_error("no loopback");
  }
  const int in = ::accept(listening, nullptr, nullptr);
  const auto begin = Clock::now();
  std::thread writer([&] {
    const std::vector<std::byte> buffer(chunk_bytes);
    for (std::uint64_t left = total; left > 0;) {
      const ssize_t sent = ::write(out, buffer.data(), std::min<std::uint64_t>(left, chunk_bytes));
      if (sent <= 0) break;
      left -= static_cast<std::uint64_t>(sent);
    }
    ::close(out);
  });
  std::vector<std::byte> buffer(chunk_bytes);
  while (::read(in, buffer.data(), buffer.size()) > 0) {
  }
  writer.join();
  const double rate = static_cast<double>(total) / seconds_since(begin);
  ::close(in);
  ::close(listening);
  return rate;
}

// A server that takes chunks, or sends them where `downloads` says so, and its clients.
class Setup {
 public:
  Setup(Keys* keys, std::uint64_t to_send, std::size_t chunk_bytes) : keys_(keys) {
    ServerOptions options;
    if (keys != nullptr) options.credentials = keys->coordinator;
    ServerHandlers handlers;
    handlers.on_frame = [this](const ConnectionPtr& connection, const Frame& frame) {
      received_[connection.get()] += frame.body.size();
      if (kind_of(frame.message) == MessageKind::kLeave) connection->send({Leave{"done"}, {}});
    };
    if (to_send > 0) {
      handlers.on_open =
          handlers.on_drained = [this, to_send, chunk_bytes](const ConnectionPtr& connection) {
            std::uint64_t& sent = sent_[connection.get()];
            for (int ahead = 0; ahead < 2 && sent < to_send; ++ahead, sent += chunk_bytes) {
              connection->send(chunk(chunk_bytes));
            }
          };
    }
    server_ = std::make_unique<Server>(options, handlers);
    server_->start();
  }
  std::unique_ptr<NetworkChannel> dial_in() {
    const Endpoint endpoint{"127.0.0.1", server_->port()};
    return keys_ != nullptr ? dial(endpoint, keys_->client) : dial_plain(endpoint);
  }
  Server& server() { return *server_; }

 private:
  Keys* keys_;
  std::map<const Connection*, std::uint64_t> received_, sent_;
  std::unique_ptr<Server> server_;
};

// Each returns the seconds that one client took, from its first byte to the peer's last word.
double upload(NetworkChannel& channel, std::uint64_t total, std::size_t chunk_bytes) {
  const Frame frame = chunk(chunk_bytes);
  const auto begin = Clock::now();
  for (std::uint64_t sent = 0; sent < total; sent += chunk_bytes) channel.send(frame);
  channel.send({Leave{"done"}, {}});
  channel.receive(kLong);
  return seconds_since(begin);
}
double download(NetworkChannel& channel, std::uint64_t total, std::size_t chunk_bytes) {
  const auto begin = Clock::now();
  for (std::uint64_t got = 0; got < total; got += chunk_bytes) channel.receive(kLong);
  return seconds_since(begin);
}

struct Result {
  double rate = 0, slowest_to_fastest = 0, cpu_per_gigabyte = 0;
};
Result transfer(Keys* keys, bool downloads, int clients, const Settings& settings) {
  const auto total =
      static_cast<std::uint64_t>(settings.gigabytes * 1e9) / static_cast<std::uint64_t>(clients);
  Setup setup(keys, downloads ? total : 0, settings.chunk_bytes);
  const auto one = [&] {
    const auto channel = setup.dial_in();
    return (downloads ? download : upload)(*channel, total, settings.chunk_bytes);
  };
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  std::vector<std::future<double>> running;
  for (int i = 0; i < clients; ++i) running.push_back(std::async(std::launch::async, one));
  std::vector<double> times;
  for (auto& each : running) times.push_back(each.get());
  const double elapsed = seconds_since(begin);
  const double moved = static_cast<double>(total) * clients;
  const auto [least, most] = std::minmax_element(times.begin(), times.end());
  return {moved / elapsed, *most / *least, (cpu_seconds() - cpu) / (moved / 1e9)};
}

void report(const char* name, int clients, Keys* keys, bool downloads, const Settings& settings) {
  std::vector<double> rates, ratios, spreads, cpu;
  for (int i = 0; i < settings.repetitions; ++i) {
    const double floor =
        bare_loop(static_cast<std::uint64_t>(settings.gigabytes * 1e9), settings.chunk_bytes);
    const Result result = transfer(keys, downloads, clients, settings);
    rates.push_back(result.rate / 1e9);
    ratios.push_back(result.rate / floor);
    spreads.push_back(result.slowest_to_fastest);
    cpu.push_back(result.cpu_per_gigabyte);
  }
  std::printf(
      "%-16s %d clients  %.2f GB/s  %.2f of the bare loop (%.2f GB/s)  %.2f CPU s/GB  "
      "slowest/fastest %.2f\n",
      name, clients, median(rates), median(ratios), median(rates) / median(ratios), median(cpu),
      median(spreads));
  std::fflush(stdout);
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
  std::uint16_t port = 0;
  if (child == 0) {
    if (::read(to_child[0], &port, sizeof(port)) != sizeof(port)) ::_exit(1);
    std::vector<std::unique_ptr<NetworkChannel>> channels;
    try {
      while (channels.size() < static_cast<std::size_t>(settings.connections)) {
        channels.push_back(dial({"127.0.0.1", port}, keys.client));
      }
    } catch (const std::exception& error) {
      std::cerr << error.what() << std::endl;
    }
    const auto count = static_cast<std::uint32_t>(channels.size());
    if (::write(to_parent[1], &count, sizeof(count)) != sizeof(count)) ::_exit(1);
    const auto begin = Clock::now();
    const double length = settings.seconds * 4.0;
    // A heartbeat from each, every 15 seconds, spread evenly.
    for (std::size_t i = 0; seconds_since(begin) < length; ++i) {
      channels[i % channels.size()]->send({Heartbeat{1, "training", i, i + 1}, {}});
      std::this_thread::sleep_for(std::chrono::duration<double>(15.0 / settings.connections));
    }
    ::_exit(0);
  }
  {
    const double before = resident_megabytes();
    Setup setup(&keys, 0, 0);
    port = setup.server().port();
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

std::string first_value(const char* path, const char* key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 2);
  }
  return "?";
}

int run_all(const Settings& settings) {
  std::array<double, 1> load{};
  getloadavg(load.data(), 1);
  std::printf("%s, %u cores, load %.1f, %s; %.1f GB in chunks of %zu bytes, median of %d\n",
              first_value("/proc/cpuinfo", "model name").c_str(),
              std::thread::hardware_concurrency(), load[0], OpenSSL_version(OPENSSL_VERSION),
              settings.gigabytes, settings.chunk_bytes, settings.repetitions);
  Keys keys;
  const auto wanted = [&](const char* name) {
    return settings.cases.find(name) != std::string::npos;
  };
  if (wanted("idle")) idle(keys, settings);  // first: it forks
  for (const int clients : {1, 8}) {
    if (!wanted(clients == 1 ? "stream" : "eight")) continue;
    report("plain upload", clients, nullptr, false, settings);
    report("plain download", clients, nullptr, true, settings);
    report("TLS upload", clients, &keys, false, settings);
    report("TLS download", clients, &keys, true, settings);
  }
  if (wanted("handshakes")) handshakes(keys, settings);
  return 0;
}

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  fedstill::Settings settings;
  std::map<std::string, std::function<void(const char*)>> options{
      {"--case", [&](const char* text) { settings.cases = text; }},
      {"--gigabytes", [&](const char* text) { settings.gigabytes = std::stod(text); }},
      {"--repetitions", [&](const char* text) { settings.repetitions = std::stoi(text); }},
      {"--chunk-bytes", [&](const char* text) { settings.chunk_bytes = std::stoul(text); }},
      {"--connections", [&](const char* text) { settings.connections = std::stoi(text); }},
      {"--seconds", [&](const char* text) { settings.seconds = std::stoi(text); }}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto option = options.find(argv[i]);
    if (option == options.end()) {
      std::cerr << "unknown option " << argv[i] << "\n";
      return 2;
    }
    option->second(argv[i + 1]);
  }
  return fedstill::run_all(settings);
}
