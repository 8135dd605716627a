// A round with many clients that come, go, die and lie, on a virtual clock: how many events a
// second the state machine takes, and how much memory a client costs.
//   fedstill_bench_rounds [CLIENTS] [MINUTES]
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "coordinator/round.h"

namespace {

using fedstill::Instant;
using fedstill::Round;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

enum class Kind : unsigned char { kHonest, kSlow, kComesAndGoes, kDies, kPretends, kRepeats };

struct Client {
  std::string name;
  Kind kind = Kind::kHonest;
  std::uint64_t done = 0, total = 0;
  bool here = false;
};
struct Event {
  Instant at;
  std::size_t client;
  bool operator>(const Event& other) const { return at > other.at; }
};

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

class Crowd {
 public:
  Crowd(std::size_t count, fedstill::RoundOptions options)
      : round_(1, options, Instant{0}), clients_(count) {
    for (std::size_t i = 0; i < count; ++i) {
      clients_[i].name = "site-" + std::to_string(i);
      clients_[i].kind = static_cast<Kind>(random_() % 16 < 10 ? 0 : 1 + random_() % 5);
      clients_[i].total = 4 + random_() % (clients_[i].kind == Kind::kSlow ? 200 : 40);
      events_.push({Instant{random_() % 120'000}, i});
    }
  }

  std::uint64_t run(Instant until) {
    std::uint64_t count = 0;
    for (; !events_.empty() && events_.top().at < until; ++count) {
      const Event event = events_.top();
      events_.pop();
      if (act(clients_[event.client], event.at)) {
        events_.push({event.at + 15s + Instant{random_() % 100}, event.client});
      }
    }
    return count;
  }
  const Round& round() const { return round_; }

 private:
  // What the client does now; false when it will never do anything again.
  bool act(Client& client, Instant now) {
    if (!client.here) {
      client.here = true;
      round_.join(client.name, now);
      return true;
    }
    const bool leaves = client.kind == Kind::kComesAndGoes && random_() % 4 == 0;
    if (leaves || (client.kind == Kind::kDies && random_() % 20 == 0)) {
      client.here = false;
      if (leaves) round_.leave(client.name, now);  // the dead say nothing
      return leaves;
    }
    if (client.kind == Kind::kPretends) {
      round_.heartbeat(client.name, "training", ++client.done, ~std::uint64_t{0}, now);
    } else if (++client.done < client.total) {
      round_.heartbeat(client.name, "training", client.done, client.total, now);
    } else {
      const bool another = client.kind == Kind::kRepeats && client.done % 2 == 0;
      round_.upload(client.name, std::string(64, another ? 'b' : 'a'), now);
    }
    return true;
  }

  std::mt19937_64 random_{1};
  Round round_;
  std::vector<Client> clients_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

}  // namespace

int main(int argc, char** argv) {
  std::size_t clients = 100'000;
  int minutes = 30;
  CLI::App app("A round of many clients that come, go and lie, on a virtual clock");
  app.option_defaults()->always_capture_default();
  app.add_option("CLIENTS", clients)->check(CLI::Range(2, 10'000'000));
  app.add_option("MINUTES", minutes, "of the virtual clock")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  fedstill::RoundOptions options;
  options.expected_clients = static_cast<int>(clients);
  options.min_clients = static_cast<int>(clients * 9 / 10);
  options.deadline = std::chrono::minutes(minutes);
  Crowd crowd(clients, options);
  const std::size_t before = resident_bytes();
  const std::clock_t began = std::clock();
  const std::uint64_t events = crowd.run(options.deadline + 1min);
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  const std::size_t grown = resident_bytes() - before;
  constexpr const char* kStates[] = {"collecting", "closed", "failed"};
  std::printf("%zu clients, %d virtual minutes: %llu events in %.2f CPU s, %.0f events/s\n",
              clients, minutes, static_cast<unsigned long long>(events), seconds,
              static_cast<double>(events) / seconds);
  std::printf("%.0f bytes per client; the round is %s with %zu uploads of %zu members\n",
              static_cast<double>(grown) / static_cast<double>(clients),
              kStates[static_cast<std::size_t>(crowd.round().state())],
              crowd.round().uploads().size(), crowd.round().members().size());
  return 0;
}
