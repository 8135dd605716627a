#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "model/decode_error.h"
#include "transport/channel.h"
#include "transport/tls/server.h"

namespace fedstill {

inline constexpr std::chrono::milliseconds kLong{60'000};

inline Frame hello() { return {Join{"site-1", "cnn3", 1}, {}}; }

// A server's connection as a channel, so that the suite every channel must pass also holds the
// server against its contract.
class ServerChannel : public Channel {
 public:
  // What the handlers of the server do to it; kept by both sides.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Frame> inbox;
    ConnectionPtr connection;
    bool is_closed_here = false, is_closed = false, is_reported = false;
    CloseCause cause = CloseCause::kHere;
    std::string reason;
  };
  explicit ServerChannel(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~ServerChannel() override { close(); }

  void send(const Frame& frame) override;
  std::optional<Frame> receive(std::chrono::milliseconds wait) override;
  void close() override;
  ConnectionPtr connection() const { return state_->connection; }

 private:
  std::shared_ptr<State> state_;
};

// A server whose connections are handed out as channels, and which notes what it refuses.
class TestServer {
 public:
  explicit TestServer(const ServerOptions& options);
  ~TestServer();
  std::uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  ServerCounters counters() const { return server_->counters(); }
  // These wait: a minute at most, then they throw.
  std::unique_ptr<ServerChannel> accept();
  std::unique_ptr<ServerChannel> accept_or_refusal();  // a refusal is thrown as ChannelClosed
  std::string next_refusal();
  std::string next_warning();
  struct Closed {
    CloseCause cause;
    std::string reason;
  };
  Closed next_closed();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<Server> server_;
};

}  // namespace fedstill
