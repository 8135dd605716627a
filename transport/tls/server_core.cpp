#include "transport/tls/server_core.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "transport/tls/server_connection.h"
#include "transport/tls/socket_calls.h"

namespace fedstill {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

// What one party can have as many of as it likes counts as one: the last 64 bits of IPv6.
std::string host_of(const Tcp::endpoint& endpoint) {
  if (!endpoint.address().is_v6()) return endpoint.address().to_string();
  auto bytes = endpoint.address().to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

std::string to_text(const Tcp::endpoint& endpoint) {
  return to_string(Endpoint{endpoint.address().to_string(), endpoint.port()});
}

}  // namespace

ServerCore::ServerCore(const ServerOptions& options, ServerHandlers handlers)
    : options_(options),
      handlers_(std::move(handlers)),
      lists_(options.access),
      io_(static_cast<int>(std::max(1U, options.threads))),
      brain_(io_.get_executor()),
      housekeeping_(io_.get_executor()),
      acceptor_(housekeeping_) {
  context_ = make_context();
  try {
    Tcp::resolver resolver(io_);
    const auto found = resolver.resolve(options.listen.host, std::to_string(options.listen.port),
                                        Tcp::resolver::passive);
    const Tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(Tcp::acceptor::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen(Tcp::acceptor::max_listen_connections);
    port_ = acceptor_.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    throw std::system_error(error.code(), "[server] " + to_string(options.listen));
  }
}

ServerCore::~ServerCore() = default;

void ServerCore::start() {
  work_.emplace(io_.get_executor());
  boost::asio::post(housekeeping_, [self = shared_from_this()] {
    self->accept();
    self->look_at_files();
  });
  for (unsigned i = 0; i < std::max(1U, options_.threads); ++i) {
    threads_.emplace_back([this] { io_.run(); });
  }
}

void ServerCore::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (is_stopped_) return;  // nobody would run it
  on_brain([self = shared_from_this(), work = std::move(work)] {
    try {
      work();
    } catch (const std::exception& error) {
      if (self->handlers_.on_warning) self->handlers_.on_warning(error.what());
    }
  });
}

void ServerCore::run_after(std::chrono::milliseconds delay, std::function<void()> work) {
  post([self = shared_from_this(), delay, work = std::move(work)] {
    self->start_timer(self->brain_, delay, [self, work] { self->post(work); });
  });
}

ServerCounters ServerCore::counters() const {
  const std::lock_guard lock(mutex_);
  return {verified_, handshakes_.size(), accepted_,  refused_,
          shut_out_, bytes_received_,    bytes_sent_};
}

void ServerCore::count_bytes(std::size_t received, std::size_t sent) {
  bytes_received_.fetch_add(received, std::memory_order_relaxed);
  bytes_sent_.fetch_add(sent, std::memory_order_relaxed);
}

void ServerCore::accept() {
  acceptor_.async_accept(
      Strand(io_.get_executor()),
      [self = shared_from_this()](boost::system::error_code error, StrandSocket socket) {
        self->accepted(error, std::move(socket));
      });
}

void ServerCore::accepted(const boost::system::error_code& error, StrandSocket socket) {
  if (!acceptor_.is_open()) return;
  if (!error) {
    welcome(std::move(socket));
    return accept();
  }
  // Out of file descriptors, mostly: to try again at once would burn a core.
  warn("[server] accept: " + error.message());
  start_timer(housekeeping_, kAcceptPause, [self = shared_from_this()] {
    if (self->acceptor_.is_open()) self->accept();
  });
}

void ServerCore::welcome(StrandSocket socket) {
  ++accepted_;
  boost::system::error_code error;
  const Tcp::endpoint from = socket.remote_endpoint(error);
  if (is_shut_out(addresses_, host_of(from))) return count_refusal();
  const std::string address = to_text(from);
  try {
    socket.native_non_blocking(true);
    prepare_socket(socket.native_handle());
  } catch (const std::exception&) {  // it is gone already
    return;
  }
  const auto connection = std::make_shared<ServerConnection>(shared_from_this(), std::move(socket),
                                                             address, host_of(from));
  ConnectionHandle oldest;
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    if (handshakes_.size() >= options_.limits.max_handshakes) {
      oldest = handshakes_.front();
      handshakes_.pop_front();
    }
    handshakes_.push_back(connection);
  }
  if (oldest) oldest->abort();
  connection->start();
}

std::string ServerCore::promote(const ConnectionHandle& connection) {
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return "the server is stopping";
    if (verified_ >= options_.limits.max_connections) return "there are too many connections";
    handshakes_.remove(connection);
    connections_.insert(connection);
    ++verified_;
  }
  // Again: the lists may have changed since the handshake looked, and look_at_files() only sees
  // who is in the register.
  return options_.credentials ? lists_.objection_to(connection->peer()).why : std::string();
}

void ServerCore::forget(const ConnectionHandle& connection) {
  const std::lock_guard lock(mutex_);
  handshakes_.remove(connection);
  verified_ -= connections_.erase(connection);
  gone_.notify_all();
}

void ServerCore::warn(const std::string& what) {
  on_brain([self = shared_from_this(), what] {
    if (self->handlers_.on_warning) self->handlers_.on_warning(what);
  });
}

// Requires: runs on that strand.
void ServerCore::start_timer(const Strand& strand, std::chrono::milliseconds delay,
                             std::function<void()> work) {
  const auto timer = std::make_shared<StrandTimer>(strand, delay);
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    timers_.insert(timer);
  }
  timer->async_wait(
      [self = shared_from_this(), timer, work = std::move(work)](boost::system::error_code error) {
        {
          const std::lock_guard lock(self->mutex_);
          self->timers_.erase(timer);
        }
        if (!error) work();
      });
}

std::vector<ServerCore::ConnectionHandle> ServerCore::everybody() const {
  const std::lock_guard lock(mutex_);
  std::vector<ConnectionHandle> all(connections_.begin(), connections_.end());
  all.insert(all.end(), handshakes_.begin(), handshakes_.end());
  return all;
}

std::vector<ServerCore::ConnectionHandle> ServerCore::verified() const {
  const std::lock_guard lock(mutex_);
  return {connections_.begin(), connections_.end()};
}

bool ServerCore::wait_until_empty(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return gone_.wait_for(lock, most, [this] { return connections_.empty() && handshakes_.empty(); });
}

void ServerCore::close_acceptor_and_timers() {
  boost::asio::post(housekeeping_, [self = shared_from_this()] {
    boost::system::error_code ignored;
    self->acceptor_.close(ignored);
  });
  const std::lock_guard lock(mutex_);
  for (const auto& timer : timers_) {
    boost::asio::post(timer->get_executor(), [timer] { timer->cancel(); });
  }
}

void ServerCore::stop() {
  if (brain_.running_in_this_thread()) throw std::logic_error("[server] stop() in a handler");
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_stopping_, true)) return;
  }
  if (!threads_.empty()) {
    close_acceptor_and_timers();
    for (const auto& connection : everybody()) connection->close("the server is stopping");
    const std::chrono::milliseconds grace = options_.limits.close_timeout;
    while (!wait_until_empty(grace)) {
      for (const auto& connection : everybody()) connection->abort();
    }
  }
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  work_.reset();  // the threads end when nothing is left to do
  for (std::thread& thread : threads_) thread.join();
  handlers_ = {};  // they may hold connections, which hold this
}

}  // namespace fedstill
