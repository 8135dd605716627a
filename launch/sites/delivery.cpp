#include "launch/sites/delivery.h"

#include <chrono>
#include <set>
#include <string>
#include <thread>

#include "launch/progress.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;
using Names = std::set<std::string>;

constexpr std::chrono::milliseconds kDeliverEvery{100};

Names who_uploaded(Service& service) {
  return service.on_brain([](Coordinator& coordinator, Reception&, Instant) {
    Names out;
    for (const auto& [client, sha256] : coordinator.round().uploads()) out.insert(client);
    return out;
  });
}

Names who_has_it(Service& service) {
  return service.on_brain(
      [](Coordinator& coordinator, Reception&, Instant) { return coordinator.delivered(); });
}

}  // namespace

void await_delivery(Service& service, const Run& run) {
  Names waiting = who_uploaded(service);
  const std::size_t all = waiting.size();
  const auto until = Clock::now() + std::chrono::minutes(run.job.round.linger_minutes);
  run.progress.begin_stage("handing the bundle out", {});
  for (;;) {
    for (const std::string& client : who_has_it(service)) waiting.erase(client);
    if (run.stop.load()) throw Stopped("[coordinator] stopped while the bundle was handed out");
    if (waiting.empty() || Clock::now() > until) break;
    std::this_thread::sleep_for(kDeliverEvery);
  }
  run.progress.end_stage(std::to_string(all - waiting.size()) + " of " + std::to_string(all) +
                         " clients have the bundle");
}

}  // namespace fedstill
