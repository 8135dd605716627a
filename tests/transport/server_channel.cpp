#include "tests/transport/server_channel.h"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace fedstill {
namespace {

constexpr std::chrono::seconds kQuietAtMost{60};
constexpr std::size_t kMaxInbox = 4;  // then the peer is held back
constexpr std::size_t kMaxQueuedBytes = std::size_t{16} << 20;

std::chrono::steady_clock::time_point after(std::chrono::milliseconds wait) {
  return std::chrono::steady_clock::now() + wait;
}

}  // namespace

void ServerChannel::send(const Frame& frame) {
  std::unique_lock lock(state_->mutex);
  if (!state_->is_closed && !state_->connection->send(frame)) {
    throw ChannelClosed("[server channel] closed");
  }
  state_->changed.wait(lock, [&] {
    return state_->is_closed || state_->connection->queued_bytes() < kMaxQueuedBytes;
  });
  if (state_->is_closed) throw ChannelClosed("[server channel] " + state_->reason);
}

std::optional<Frame> ServerChannel::receive(std::chrono::milliseconds wait) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_until(lock, after(std::min<std::chrono::milliseconds>(wait, kQuietAtMost)),
                             [&] { return state_->is_closed || !state_->inbox.empty(); });
  if (state_->is_closed_here) throw ChannelClosed("[server channel] closed on this side");
  if (!state_->inbox.empty()) {
    Frame frame = std::move(state_->inbox.front());
    state_->inbox.pop_front();
    if (!state_->is_closed) state_->connection->resume_reading();
    return frame;
  }
  if (!state_->is_closed) return std::nullopt;
  if (state_->cause == CloseCause::kBadBytes && !std::exchange(state_->is_reported, true)) {
    throw DecodeError(state_->reason);
  }
  throw ChannelClosed("[server channel] " + state_->reason);
}

void ServerChannel::close() {
  const std::lock_guard lock(state_->mutex);
  if (std::exchange(state_->is_closed_here, true) || state_->is_closed) return;
  state_->is_closed = true;
  state_->connection->close("closed by the test");
  state_->changed.notify_all();
}

struct TestServer::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<const Connection*, std::shared_ptr<ServerChannel::State>> states;
  std::deque<std::shared_ptr<ServerChannel::State>> opened;
  std::deque<std::string> refusals, warnings;
  std::deque<Closed> closed;

  std::shared_ptr<ServerChannel::State> find(const ConnectionPtr& connection) {
    const std::lock_guard lock(mutex);
    return states.at(connection.get());
  }
  template <typename T>
  T next(std::deque<T>& queue, const char* what) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, kQuietAtMost, [&] { return !queue.empty(); })) {
      throw std::runtime_error(std::string("[test server] no ") + what + " in a minute");
    }
    T first = std::move(queue.front());
    queue.pop_front();
    return first;
  }
  template <typename T>
  void push(std::deque<T>& queue, T item) {
    const std::lock_guard lock(mutex);
    queue.push_back(std::move(item));
    changed.notify_all();
  }
};

TestServer::TestServer(const ServerOptions& options) : shared_(std::make_shared<Shared>()) {
  ServerHandlers handlers;
  const auto shared = shared_;
  handlers.on_open = [shared](const ConnectionPtr& connection) {
    const auto state = std::make_shared<ServerChannel::State>();
    state->connection = connection;
    {
      const std::lock_guard lock(shared->mutex);
      shared->states[connection.get()] = state;
    }
    shared->push(shared->opened, state);
  };
  handlers.on_frame = [shared](const ConnectionPtr& connection, Frame frame) {
    const auto state = shared->find(connection);
    const std::lock_guard lock(state->mutex);
    state->inbox.push_back(std::move(frame));
    if (state->inbox.size() >= kMaxInbox) connection->pause_reading();
    state->changed.notify_all();
  };
  handlers.on_drained = [shared](const ConnectionPtr& connection) {
    const auto state = shared->find(connection);
    const std::lock_guard lock(state->mutex);
    state->changed.notify_all();
  };
  handlers.on_close = [shared](const ConnectionPtr& connection, CloseCause cause,
                               const std::string& reason) {
    const auto state = shared->find(connection);
    {
      const std::lock_guard lock(state->mutex);
      state->is_closed = true;
      state->cause = cause;
      state->reason = reason;
      state->changed.notify_all();
    }
    shared->push(shared->closed, Closed{cause, reason});
    const std::lock_guard lock(shared->mutex);
    shared->states.erase(connection.get());
  };
  handlers.on_refused = [shared](const std::string&, const std::string& reason) {
    shared->push(shared->refusals, reason);
  };
  handlers.on_warning = [shared](const std::string& what) { shared->push(shared->warnings, what); };
  server_ = std::make_unique<Server>(options, std::move(handlers));
  server_->start();
}

TestServer::~TestServer() = default;

std::unique_ptr<ServerChannel> TestServer::accept() {
  return std::make_unique<ServerChannel>(shared_->next(shared_->opened, "connection"));
}
std::unique_ptr<ServerChannel> TestServer::accept_or_refusal() {
  {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait_for(
        lock, kQuietAtMost, [&] { return !shared_->opened.empty() || !shared_->refusals.empty(); });
    if (!shared_->refusals.empty()) {
      const std::string why = shared_->refusals.front();
      shared_->refusals.pop_front();
      throw ChannelClosed(why);
    }
  }
  return accept();
}
std::string TestServer::next_refusal() { return shared_->next(shared_->refusals, "refusal"); }
std::string TestServer::next_warning() { return shared_->next(shared_->warnings, "warning"); }
TestServer::Closed TestServer::next_closed() { return shared_->next(shared_->closed, "close"); }

}  // namespace fedstill
