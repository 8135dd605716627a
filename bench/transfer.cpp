// How fast chunks cross the loopback, plain and over TLS, one stream or several at once, beside a
// bare read/write loop in the same run. Both ends share this machine's cores.
//   fedstill_bench_transfer [--kind plain,tls] [--streams 1,8] [--gigabytes 3] [--repetitions 3]
//                           [--chunk-bytes 1048576]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <future>
#include <sstream>

#include "bench/loopback.h"

namespace fedstill {
namespace {

constexpr std::chrono::hours kLong{1};

struct Settings {
  std::string kind = "plain,tls";
  std::string streams = "1,8";
  double gigabytes = 3;
  int repetitions = 3;
  std::size_t chunk_bytes = 1 << 20;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
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

}  // namespace
}  // namespace fedstill

int main(int argc, char** argv) {
  fedstill::Settings settings;
  CLI::App app("Streams over loopback, beside a bare loop of read(2) and write(2) in the same run");
  app.option_defaults()->always_capture_default();
  app.add_option("--kind", settings.kind);
  app.add_option("--streams", settings.streams, "how many at once, after one another");
  app.add_option("--gigabytes", settings.gigabytes, "in all");
  app.add_option("--repetitions", settings.repetitions, "medians of so many");
  app.add_option("--chunk-bytes", settings.chunk_bytes);
  CLI11_PARSE(app, argc, argv);
  fedstill::print_machine(std::to_string(settings.gigabytes) + " GB in chunks of " +
                          std::to_string(settings.chunk_bytes) + " bytes, median of " +
                          std::to_string(settings.repetitions));
  fedstill::Keys keys;
  std::istringstream streams(settings.streams);
  for (std::string count; std::getline(streams, count, ',');) {
    const int clients = std::stoi(count);
    if (settings.kind.find("plain") != std::string::npos) {
      fedstill::report("plain upload", clients, nullptr, false, settings);
      fedstill::report("plain download", clients, nullptr, true, settings);
    }
    if (settings.kind.find("tls") == std::string::npos) continue;
    fedstill::report("TLS upload", clients, &keys, false, settings);
    fedstill::report("TLS download", clients, &keys, true, settings);
  }
}
