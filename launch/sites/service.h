#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "coordinator/reception.h"
#include "coordinator/worker.h"
#include "launch/sites/running_clock.h"
#include "transport/tls/server.h"

namespace fedstill {

// A coordinator on a network: the server's connections meet the reception's on the server's brain,
// the one thread that may touch the coordinator; its errands are done by a thread of their own, so
// that everybody is answered meanwhile. What the main thread wants of it goes through on_brain().
class Service {
 public:
  // Listens and accepts. Coordinator and store must outlive it. Throws what Server throws.
  Service(const ServerOptions& options, Coordinator& coordinator, ReceptionOptions reception,
          std::function<void(const std::string&)> on_trouble,
          std::function<void(const std::string&)> on_refused = {});  // who was not let in, and why
  ~Service();                                                        // stops
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  std::uint16_t port() const { return server_->port(); }
  ServerCounters counters() const { return server_->counters(); }
  Reception& reception() { return reception_; }  // only on the brain
  void stop();
  static Instant now();  // what the coordinator is to begin with…
  Instant time();        // …and the clock it is driven with; only on the brain

  // Runs work(coordinator, reception, now) on the brain and returns what it returns; rethrows what
  // it throws. Not from the brain, not after stop().
  template <typename Work>
  auto on_brain(Work work) {
    using Result = std::invoke_result_t<Work, Coordinator&, Reception&, Instant>;
    auto task = std::make_shared<std::packaged_task<Result()>>(
        [this, work = std::move(work)] { return work(coordinator_, reception_, time()); });
    auto result = task->get_future();
    server_->post([task] { (*task)(); });
    return result.get();
  }

 private:
  ServerHandlers handlers();
  ReceptionOptions with_worker(ReceptionOptions options);
  void tick();

  Coordinator& coordinator_;
  Reception reception_;
  std::function<void(const std::string&)> on_trouble_, on_refused_;
  std::unordered_map<const Connection*, Reception::Id> ids_;
  std::string trouble_;
  RunningClock clock_{now()};
  Worker worker_;
  std::unique_ptr<Server> server_;  // last: its handlers use the others
};

}  // namespace fedstill
