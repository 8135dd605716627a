#include "launch/sites/service.h"

#include <chrono>
#include <utility>

namespace fedstill {
namespace {

constexpr std::chrono::milliseconds kTick{500};

}  // namespace

Service::Service(const ServerOptions& options, Coordinator& coordinator, ReceptionOptions reception,
                 std::function<void(const std::string&)> on_trouble,
                 std::function<void(const std::string&)> on_refused)
    : coordinator_(coordinator),
      reception_(coordinator, with_worker(std::move(reception))),
      on_trouble_(std::move(on_trouble)),
      on_refused_(std::move(on_refused)),
      server_(std::make_unique<Server>(options, handlers())) {
  server_->start();
  server_->run_after(kTick, [this] { tick(); });
}

Service::~Service() { stop(); }

// In this order: the worker hands its results to the server, which takes none once it has stopped.
void Service::stop() {
  server_->stop();
  worker_.stop();
}

ReceptionOptions Service::with_worker(ReceptionOptions options) {
  options.elsewhere = [this](std::function<void()> work, std::function<void(Instant)> then) {
    worker_.give([this, work = std::move(work), then = std::move(then)] {
      work();
      server_->post([this, then] { then(time()); });
    });
  };
  return options;
}

Instant Service::now() {
  return std::chrono::duration_cast<Instant>(std::chrono::steady_clock::now().time_since_epoch());
}

Instant Service::time() { return clock_.read(now()); }

ServerHandlers Service::handlers() {
  ServerHandlers on;
  on.on_open = [this](const ConnectionPtr& connection) {
    Line line{[connection](Frame frame) { connection->send(std::move(frame)); },
              [connection](const std::string& reason) { connection->close(reason); },
              [connection](bool held) {
                held ? connection->pause_reading() : connection->resume_reading();
              },
              [this, connection] { server_->note_refusal(connection->peer()); }};
    ids_[connection.get()] =
        reception_.open(connection->peer().name, connection->peer().role, std::move(line), time());
  };
  on.on_frame = [this](const ConnectionPtr& connection, Frame&& frame) {
    reception_.receive(ids_.at(connection.get()), std::move(frame), time());
  };
  on.on_drained = [this](const ConnectionPtr& connection) {
    reception_.drained(ids_.at(connection.get()), time());
  };
  on.on_close = [this](const ConnectionPtr& connection, CloseCause, const std::string&) {
    const auto place = ids_.find(connection.get());
    if (place == ids_.end()) return;
    const Reception::Id id = place->second;
    ids_.erase(place);
    reception_.closed(id, time());
  };
  on.on_refused = [this](const std::string& address, const std::string& reason) {
    if (on_refused_) on_refused_("refused " + address + ": " + reason);
  };
  on.on_warning = on_trouble_;
  return on;
}

void Service::tick() {
  server_->run_after(kTick, [this] { tick(); });
  reception_.tick(time());
  if (reception_.trouble() != trouble_) {
    trouble_ = reception_.trouble();
    on_trouble_(trouble_.empty() ? "events can be recorded again" : trouble_);
  }
}

}  // namespace fedstill
