#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "coordinator/coordinator.h"
#include "transport/blob_sender.h"
#include "transport/frame.h"

namespace fedstill {

// One connection as the reception sees it. None calls the reception back before it returns.
struct Line {
  std::function<void(Frame)> send;                     // queues, never blocks
  std::function<void(const std::string& reason)> end;  // after what is queued; closed() follows
  std::function<void(bool held)> hold = {};            // while it is, no frame may be handed in
  std::function<void()> refused = {};                  // what the peer asked for, by its own fault
};

struct ReceptionOptions {
  std::string software = "fedstill";
  std::chrono::seconds heartbeat{15};
  // Of all connections together: with many at once each gets smaller chunks.
  std::size_t bytes_in_flight = std::size_t{64} << 20;
  std::function<std::int64_t()> unix_time = {};  // for the Welcome
  // JSON for clients that ask what their data must be like (transport/task_question.h), if any.
  std::string task = {};
  // Answers an administrator with JSON; without it, or where it throws std::invalid_argument, the
  // request is refused. It may exclude and readmit.
  std::function<std::string(const std::string& admin, const StatusRequest&)> on_status = {};
  // Runs work() on another thread, one after the other in the order in which they came, and then
  // then() on the reception's; without it the reception does both at once. At most one waits for
  // each connection, whose line is held meanwhile.
  std::function<void(std::function<void()> work, std::function<void(Instant now)> then)> elsewhere =
      {};
  // Every frame that is more than a chunk or a sign of life, with its peer.
  std::function<void(const std::string& peer, const Frame& frame, bool received)> on_frame = {};
};

// All connections of one coordinator, without sockets: greets, hands frames to the coordinator,
// sends its answers, streams blobs one chunk at a time, and survives whatever one peer does. Of two
// connections under one name the newer stays. One thread.
class Reception {
 public:
  using Id = std::uint64_t;

  explicit Reception(Coordinator& coordinator, ReceptionOptions options = {});
  ~Reception();

  // A peer whose name and role ("client", "admin") the transport vouches for.
  Id open(const std::string& name, const std::string& role, Line line, Instant now);
  void receive(Id id, Frame frame, Instant now);  // nothing, once it was ended
  void drained(Id id, Instant now);  // all that was sent has left: the next chunk may follow
  void closed(Id id, Instant now);
  // The clock acts, and who was told nothing for the heartbeat's time gets a sign of life.
  void tick(Instant now);

  // As the coordinator's, and those concerned are told.
  void publish(const BlobInfo& bundle, const BlobInfo& student, Instant now);
  void reopen(Instant now);
  void exclude(const std::string& client, const std::string& reason, Instant now);
  // Everybody is told to go, with the reason.
  void end_all(const std::string& reason);

  std::size_t connections() const;
  // Why events cannot be recorded (a full disk), or nothing: none failed for two heartbeats, and
  // one was written after. Of a damaged database it is said to the end.
  const std::string& trouble() const { return trouble_; }

 private:
  struct Connection;
  Connection* find(Id id);
  void handle(Connection& connection, Frame frame, Instant now);
  void greet(Connection& connection, const Frame& frame);
  void answer_status(Connection& connection, const StatusRequest& request);
  void send_json(Connection& connection, const std::string& json);
  void react(Connection& connection, const std::string& subject, Reaction reaction);
  void send_out(Id id, const std::string& subject, Errand errand);
  void come_back(Id id, const std::string& subject, const Answer& answer, Instant now);
  void blame(const Connection& connection);
  void say_try_later(Connection& connection, const std::string& subject);
  void send(Connection& connection, Frame frame);
  void note(const Connection& connection, const Frame& frame, bool received);
  void send_chunk(Connection& connection);
  void end(Connection& connection, const std::string& reason);
  void tell_news();
  template <typename Event>
  void attempt(const Event& event);
  void note_trouble(const std::exception& error);
  void try_recording();

  Coordinator& coordinator_;
  ReceptionOptions options_;
  std::map<Id, std::unique_ptr<Connection>> connections_;
  std::map<std::string, Id> clients_;  // the connection that counts, by name
  Id next_id_ = 1;
  Instant now_{0};
  std::size_t streams_ = 0;
  std::string trouble_;
  bool is_damaged_ = false;  // the database: nothing is done any more that it should remember
  Instant troubled_{0}, tried_{0};  // when something could not be recorded; when that was tried
};

// The newest version that both sides know, or nothing.
std::optional<std::uint16_t> common_version(const Hello& hello);

}  // namespace fedstill
