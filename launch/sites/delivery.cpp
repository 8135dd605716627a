#include "launch/sites/delivery.h"

#include <chrono>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "launch/counted.h"
#include "launch/progress.h"
#include "training/fit.h"

namespace fedstill {
namespace {

using Clock = std::chrono::steady_clock;
using Names = std::set<std::string>;

constexpr std::chrono::milliseconds kDeliverEvery{100};
constexpr std::chrono::seconds kTellAfter{5};  // before it is told who is waited for

// Whoever ever joined is to have it, also who was too late with an update, or for the round; but
// not who was sent away.
struct Delivered {
  std::size_t members = 0;
  Names missing;
};
Delivered look(Service& service) {
  return service.on_brain([](Coordinator& coordinator, Reception&, Instant) {
    Delivered out;
    const auto& members = coordinator.round().members();
    for (const auto& [client, join] : coordinator.joins()) {
      const auto member = members.find(client);
      const bool is_refused = member != members.end() && member->second.refused;
      if (is_refused || coordinator.exclusions().contains(client)) continue;
      ++out.members;
      if (!coordinator.delivered().contains(client)) out.missing.insert(client);
    }
    return out;
  });
}

std::string waiting_text(const Names& missing, std::int64_t minutes) {
  constexpr std::ptrdiff_t kMostNames = 5;
  std::string names;
  for (auto it = missing.begin();
       it != missing.end() && std::distance(missing.begin(), it) < kMostNames; ++it) {
    names += (names.empty() ? "" : ", ") + *it;
  }
  return "waiting up to " + counted(minutes, "minute") + " for " +
         counted(std::ssize(missing), "client") + " without the bundle: " + names +
         (std::ssize(missing) > kMostNames ? ", …" : "") + "; `fedstill stop` ends it";
}

}  // namespace

void await_delivery(Service& service, const Run& run) {
  const std::int64_t minutes = run.job.round.linger_minutes;
  const auto began = Clock::now();
  bool is_told = false;
  run.progress.begin_stage("handing the bundle out", {});
  Delivered now = look(service);
  for (; !now.missing.empty() && Clock::now() - began < std::chrono::minutes(minutes);
       now = look(service)) {
    if (run.stop.load()) throw Stopped("[coordinator] stopped while the bundle was handed out");
    if (Clock::now() - began > kTellAfter && !std::exchange(is_told, true)) {
      run.progress.message(waiting_text(now.missing, minutes));
    }
    std::this_thread::sleep_for(kDeliverEvery);
  }
  run.progress.end_stage(std::to_string(now.members - now.missing.size()) + " of " +
                         counted(static_cast<std::int64_t>(now.members), "client") +
                         (now.members == 1 ? " has" : " have") + " the bundle");
}

}  // namespace fedstill
