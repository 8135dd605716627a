#include "transport/tls/server.h"

#include <stdexcept>

#include "transport/tls/server_core.h"

namespace fedstill {
namespace {

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string("[server] ") + what);
}

}  // namespace

void check(const ServerLimits& limits) {
  require(limits.max_connections > 0 && limits.max_handshakes > 0, "room for nobody");
  for (const auto time : {limits.handshake_timeout, limits.idle_timeout, limits.progress_window,
                          limits.close_timeout}) {
    require(time.count() > 0, "a timeout of nothing");
  }
  require(limits.bytes_per_second == 0 || limits.bytes_per_second > limits.min_bytes_per_second,
          "bytes_per_second must exceed min_bytes_per_second: who keeps to the one would be closed "
          "for the other");
}

Server::Server(const ServerOptions& options, ServerHandlers handlers) {
  check(options.limits);
  core_ = std::make_shared<ServerCore>(options, std::move(handlers));
}

Server::~Server() { core_->stop(); }
void Server::start() { core_->start(); }
std::uint16_t Server::port() const { return core_->port(); }
void Server::post(std::function<void()> work) { core_->post(std::move(work)); }
void Server::run_after(std::chrono::milliseconds delay, std::function<void()> work) {
  core_->run_after(delay, std::move(work));
}
void Server::stop() { core_->stop(); }
void Server::note_refusal(const PeerIdentity& peer) { core_->note_refusal(peer); }
ServerCounters Server::counters() const { return core_->counters(); }

}  // namespace fedstill
