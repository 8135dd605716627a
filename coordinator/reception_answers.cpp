// What peers are sent, at once or when an errand is done.
#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include "coordinator/reception_connection.h"

namespace fedstill {
namespace {

bool is_worth_noting(MessageKind kind) {
  return kind != MessageKind::kBlobChunk && kind != MessageKind::kBlobProgress &&
         kind != MessageKind::kHeartbeat;
}

}  // namespace

void Reception::react(Connection& connection, const std::string& subject, Reaction reaction) {
  for (Frame& frame : reaction.frames) send(connection, std::move(frame));
  if (reaction.errand) send_out(connection.id, subject, std::move(reaction.errand));
  if (!reaction.transfer) return;
  if (connection.sender) --streams_;
  connection.sender.reset();
  connection.sender.emplace(reaction.transfer->file, reaction.transfer->blob,
                            reaction.transfer->offset);
  connection.pace.begin(now_);
  ++streams_;
  if (!connection.chunk_under_way) send_chunk(connection);
}

void Reception::send_out(Id id, const std::string& subject, Errand errand) {
  Connection* connection = find(id);
  if (!options_.elsewhere) return come_back(id, subject, errand(), now_);
  if (connection != nullptr) connection->held = true;
  if (connection != nullptr && connection->line.hold) connection->line.hold(true);
  const auto answer = std::make_shared<Answer>();
  options_.elsewhere(
      [answer, errand = std::move(errand)] { *answer = errand(); },
      [this, id, subject, answer](Instant now) { come_back(id, subject, *answer, now); });
}

// The answer counts also where nobody is left to hear it.
void Reception::come_back(Id id, const std::string& subject, const Answer& answer, Instant now) {
  now_ = now;
  Connection* connection = find(id);
  if (connection != nullptr && connection->ended) connection = nullptr;
  try {
    Reaction reaction = answer(now);
    if (connection != nullptr) react(*connection, subject, std::move(reaction));
  } catch (const std::system_error& error) {
    note_trouble(error);
    if (connection != nullptr) say_try_later(*connection, subject);
  } catch (const StoreDamaged& error) {
    note_trouble(error);
    if (connection != nullptr) say_try_later(*connection, subject);
  } catch (const std::exception& error) {
    if (connection != nullptr) blame(*connection);
    if (connection != nullptr) end(*connection, error.what());
  }
  if (connection == nullptr || !connection->held) return;
  connection->held = false;
  if (connection->line.hold) connection->line.hold(false);
}

void Reception::send(Connection& connection, Frame frame) {
  note(connection, frame, false);
  const auto* answer = std::get_if<Acknowledgement>(&frame.message);
  if (answer != nullptr && !answer->accepted && answer->refusal != Refusal::kTryLater) {
    blame(connection);
  }
  connection.told = now_;
  connection.line.send(std::move(frame));
}

void Reception::send_chunk(Connection& connection) {
  if (!connection.sender) return;
  const std::size_t share = options_.bytes_in_flight / std::max<std::size_t>(streams_, 1);
  auto chunk = connection.sender->next_chunk(
      std::min(std::max(share, kLeastChunkBytes), connection.pace.bytes()));
  if (chunk) {
    connection.chunk_under_way = true;
    return send(connection, std::move(*chunk));
  }
  connection.sender.reset();
  --streams_;
}

void Reception::end(Connection& connection, const std::string& reason) {
  if (std::exchange(connection.ended, true)) return;
  if (connection.sender) --streams_;
  connection.sender.reset();
  connection.line.end(reason);
}

void Reception::blame(const Connection& connection) {
  if (connection.line.refused) connection.line.refused();
}

void Reception::say_try_later(Connection& connection, const std::string& subject) {
  const auto round = coordinator_.round().number();
  send(connection, {Acknowledgement{round, subject, false, "the coordinator cannot write now",
                                    Refusal::kTryLater},
                    {}});
}

void Reception::note(const Connection& connection, const Frame& frame, bool received) {
  if (!options_.on_frame || !is_worth_noting(kind_of(frame.message))) return;
  options_.on_frame(connection.name, frame, received);
}

}  // namespace fedstill
