#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "transport/tls/access_lists.h"
#include "transport/tls/asio.h"
#include "transport/tls/refusals.h"
#include "transport/tls/server.h"
#include "transport/tls/tls_context.h"

namespace fedstill {

class ServerConnection;

// What the connections of one server share: threads, the brain, the register of who is there.
class ServerCore : public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(const ServerOptions& options, ServerHandlers handlers);
  ~ServerCore();

  void start();
  void stop();
  std::uint16_t port() const { return port_; }
  void post(std::function<void()> work);
  void run_after(std::chrono::milliseconds delay, std::function<void()> work);
  ServerCounters counters() const;

  // For connections, from any thread.
  const ServerLimits& limits() const { return options_.limits; }
  const ServerHandlers& handlers() const { return handlers_; }
  template <typename Work>
  void on_brain(Work work) {
    boost::asio::post(brain_, std::move(work));
  }
  std::unique_ptr<Wire> make_wire(int socket) const;
  // The handshake is complete: why the peer may not stay, or an empty string.
  std::string promote(const std::shared_ptr<ServerConnection>& connection);
  void forget(const std::shared_ptr<ServerConnection>& connection);
  // A handshake from there failed, by no fault of ours.
  void note_failed_handshake(const std::string& host);
  void note_refusal(const PeerIdentity& peer);
  void count_refusal() { ++refused_; }
  void count_bytes(std::size_t received, std::size_t sent);

 private:
  using ConnectionHandle = std::shared_ptr<ServerConnection>;

  std::shared_ptr<const TlsContext> make_context();
  Objection objection_to(const PeerIdentity& peer) const;
  bool is_shut_out(const Refusals& refusals, const std::string& peer) const;
  bool note_refusal(Refusals& refusals, const std::string& peer);
  void accept();
  void accepted(const boost::system::error_code& error, StrandSocket socket);
  void welcome(StrandSocket socket);
  void look_at_files();
  void look_at_credentials();
  void warn(const std::string& what);
  void start_timer(const Strand& strand, std::chrono::milliseconds delay,
                   std::function<void()> work);
  std::vector<ConnectionHandle> everybody() const;
  std::vector<ConnectionHandle> verified() const;
  bool wait_until_empty(std::chrono::milliseconds most);
  void close_acceptor_and_timers();

  const ServerOptions options_;
  ServerHandlers handlers_;
  AccessLists lists_;
  std::shared_ptr<const TlsContext> context_;  // guarded: it changes with its files
  std::string context_stamp_;                  // of those files

  IoContext io_;
  Strand brain_, housekeeping_;
  boost::asio::basic_socket_acceptor<Tcp, Strand> acceptor_;
  std::uint16_t port_ = 0;
  std::optional<boost::asio::executor_work_guard<IoContext::executor_type>> work_;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;
  std::condition_variable gone_;                      // a connection left
  std::list<ConnectionHandle> handshakes_;            // oldest first
  std::unordered_set<ConnectionHandle> connections_;  // verified, or on their way out
  std::size_t verified_ = 0;
  Refusals addresses_{options_.limits.failed_handshakes};  // guarded
  Refusals peers_{options_.limits.refused_requests};       // guarded
  std::unordered_set<std::shared_ptr<StrandTimer>> timers_;
  bool is_stopping_ = false, is_stopped_ = false;
  std::atomic<std::uint64_t> accepted_{0}, refused_{0}, shut_out_{0}, bytes_received_{0},
      bytes_sent_{0};
};

}  // namespace fedstill
