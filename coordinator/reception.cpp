#include "coordinator/reception.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "coordinator/reception_connection.h"
#include "model/decode_error.h"
#include "transport/task_question.h"

namespace fedstill {
namespace {

constexpr std::uint16_t kOldestVersion = 1;

Frame refusal_of(Refusal refusal, const std::string& reason) {
  return {Acknowledgement{0, "", false, to_free_text(reason), refusal}, {}};
}

// What an event that could not be recorded was about, so that the peer knows what to try again.
std::string subject_of(const Message& message) {
  if (const auto* offer = std::get_if<BlobOffer>(&message)) return offer->sha256;
  if (const auto* chunk = std::get_if<BlobChunk>(&message)) return chunk->sha256;
  if (const auto* upload = std::get_if<Upload>(&message)) return upload->sha256;
  if (const auto* claim = std::get_if<Predictions>(&message)) return claim->sha256;
  return {};
}

// Where the database is damaged: nothing of these is to be remembered.
bool needs_no_record(const Message& message) {
  return std::holds_alternative<Heartbeat>(message) || std::holds_alternative<Leave>(message) ||
         std::holds_alternative<BlobRequest>(message) ||
         std::holds_alternative<BlobProgress>(message);
}

}  // namespace

// What the clock decided is recorded by the next event, if it cannot be now.
template <typename Event>
void Reception::attempt(const Event& event) {
  try {
    event();
  } catch (const std::system_error& error) {
    note_trouble(error);
  } catch (const StoreDamaged& error) {
    note_trouble(error);
  }
}

void Reception::note_trouble(const std::exception& error) {
  const bool is_damage = dynamic_cast<const StoreDamaged*>(&error) != nullptr;
  if (is_damaged_ && !is_damage) return;  // the worse of the two is told
  is_damaged_ = is_damage;
  trouble_ = error.what();
  troubled_ = now_;
}

// A disk that takes nothing is noticed although nobody has anything to record, and taken for well
// only when those who were told to try later had the time to.
void Reception::try_recording() {
  if (now_ - tried_ < options_.heartbeat) return;
  tried_ = now_;
  attempt([&] {
    coordinator_.record_time();
    if (!is_damaged_ && now_ - troubled_ >= 2 * options_.heartbeat) trouble_.clear();
  });
}

Reception::Reception(Coordinator& coordinator, ReceptionOptions options)
    : coordinator_(coordinator), options_(std::move(options)) {}
Reception::~Reception() = default;

Reception::Id Reception::open(const std::string& name, const std::string& role, Line line,
                              Instant now) {
  now_ = now;
  const Id id = next_id_++;
  auto connection = std::make_unique<Connection>();
  connection->id = id;
  connection->name = name;
  connection->role = role;
  connection->line = std::move(line);
  connection->told = now;
  connections_.emplace(id, std::move(connection));
  if (role != "client") return id;
  const auto [place, is_new] = clients_.try_emplace(name, id);
  if (!is_new) {
    Connection* older = find(std::exchange(place->second, id));
    attempt([&] { coordinator_.leave(name, now); });
    if (older != nullptr) end(*older, "the same identity connected again");
  }
  return id;
}

void Reception::receive(Id id, Frame frame, Instant now) {
  now_ = now;
  Connection* connection = find(id);
  if (connection == nullptr || connection->ended) return;
  if (connection->held) throw std::logic_error("[reception] a frame on a line that is held");
  const std::string subject = subject_of(frame.message);
  try {
    handle(*connection, std::move(frame), now);
  } catch (const StoreDamaged& error) {
    note_trouble(error);
    say_try_later(*connection, subject);
  } catch (const DecodeError& error) {
    blame(*connection);
    end(*connection, error.what());
  } catch (const std::system_error& error) {
    note_trouble(error);
    say_try_later(*connection, subject);
  }
}

void Reception::drained(Id id, Instant now) {
  now_ = now;
  Connection* connection = find(id);
  if (connection == nullptr || connection->ended) return;
  connection->chunk_under_way = false;
  try {
    send_chunk(*connection);
  } catch (const std::runtime_error& error) {  // the file is not what it was
    end(*connection, error.what());
  }
}

void Reception::closed(Id id, Instant now) {
  now_ = now;
  const auto place = connections_.find(id);
  if (place == connections_.end()) return;
  if (place->second->sender) --streams_;
  const auto client = clients_.find(place->second->name);
  const bool counts = client != clients_.end() && client->second == id;
  const std::string name = place->second->name;
  connections_.erase(place);
  if (!counts) return;
  clients_.erase(client);
  attempt([&] { coordinator_.leave(name, now); });
}

void Reception::tick(Instant now) {
  now_ = now;
  attempt([&] { coordinator_.tick(now); });
  try_recording();
  for (auto& [id, connection] : connections_) {
    const bool is_due = now - connection->told >= options_.heartbeat;
    if (!connection->greeted || connection->ended || !is_due) continue;
    send(*connection, {Heartbeat{coordinator_.round().number(), "", 0, 0}, {}});
  }
}

void Reception::publish(const BlobInfo& bundle, const BlobInfo& student, Instant now) {
  now_ = now;
  send_out(0, "", coordinator_.publish(bundle, student, now).errand);
  tell_news();
}

void Reception::reopen(Instant now) {
  now_ = now;
  coordinator_.reopen(now);
  tell_news();
}

void Reception::exclude(const std::string& client, const std::string& reason, Instant now) {
  now_ = now;
  coordinator_.exclude(client, reason, now);
  const auto place = clients_.find(client);
  if (place == clients_.end()) return;
  Connection& connection = *find(place->second);
  send(connection, refusal_of(Refusal::kFinal, "excluded: " + reason));
  end(connection, "excluded");
}

void Reception::end_all(const std::string& reason) {
  for (auto& [id, connection] : connections_) {
    if (connection->ended) continue;
    if (connection->greeted) send(*connection, {Leave{to_free_text(reason)}, {}});
    end(*connection, reason);
  }
}

std::size_t Reception::connections() const { return connections_.size(); }

Reception::Connection* Reception::find(Id id) {
  const auto place = connections_.find(id);
  return place == connections_.end() ? nullptr : place->second.get();
}

void Reception::handle(Connection& connection, Frame frame, Instant now) {
  note(connection, frame, true);
  if (!connection.greeted) return greet(connection, frame);
  if (std::holds_alternative<StatusRequest>(frame.message)) {
    return answer_status(connection, std::get<StatusRequest>(frame.message));
  }
  if (connection.role != "client") {
    throw DecodeError("[reception] role " + connection.role + " does not send " +
                      std::string(name(kind_of(frame.message))));
  }
  const bool joins = std::holds_alternative<Join>(frame.message);
  if (std::holds_alternative<BlobProgress>(frame.message)) connection.pace.acknowledged(now);
  const std::string subject = subject_of(frame.message);
  if (is_damaged_ && !needs_no_record(frame.message)) return say_try_later(connection, subject);
  Reaction reaction = coordinator_.receive(connection.name, std::move(frame), now);
  if (joins) {
    const auto* answer = std::get_if<Acknowledgement>(&reaction.frames.front().message);
    connection.joined = answer == nullptr || answer->accepted;
  }
  react(connection, subject, std::move(reaction));
}

void Reception::greet(Connection& connection, const Frame& frame) {
  const auto* hello = std::get_if<Hello>(&frame.message);
  if (hello == nullptr) throw DecodeError("[reception] expected Hello first");
  const auto version = common_version(*hello);
  if (!version) {
    const std::string reason = "protocol versions: found " + std::to_string(hello->oldest_version) +
                               " to " + std::to_string(hello->newest_version) + ", expected " +
                               std::to_string(kOldestVersion) + " to " +
                               std::to_string(kProtocolVersion);
    send(connection, refusal_of(Refusal::kFinal, reason));
    return end(connection, reason);
  }
  connection.greeted = true;
  Welcome welcome;
  welcome.version = *version;
  welcome.software = to_free_text(options_.software, 64);
  welcome.heartbeat_seconds = static_cast<std::uint32_t>(options_.heartbeat.count());
  const bool may_ask =
      std::ranges::find(hello->capabilities, kTaskQuestion) != hello->capabilities.end();
  if (may_ask && !options_.task.empty()) welcome.capabilities.emplace_back(kTaskQuestion);
  if (options_.unix_time) welcome.unix_time = options_.unix_time();
  send(connection, {std::move(welcome), {}});
}

void Reception::answer_status(Connection& connection, const StatusRequest& request) {
  if (connection.role == "client" && request.what == kTaskQuestion && !options_.task.empty()) {
    return send_json(connection, options_.task);
  }
  if (connection.role != "admin" || !options_.on_status) {
    return send(connection, refusal_of(Refusal::kFinal, "[status] for administrators only"));
  }
  try {
    send_json(connection, options_.on_status(connection.name, request));
  } catch (const std::invalid_argument& error) {
    send(connection, refusal_of(Refusal::kFinal, error.what()));
  }
}

void Reception::send_json(Connection& connection, const std::string& json) {
  const auto bytes = std::as_bytes(std::span(json));
  if (bytes.size() > kMaxStatusBytes) throw std::invalid_argument("[status] too long an answer");
  send(connection, {StatusReply{}, {bytes.begin(), bytes.end()}});
}

void Reception::tell_news() {
  for (auto& [id, connection] : connections_) {
    if (!connection->joined || connection->ended) continue;
    for (Frame& frame : coordinator_.news()) send(*connection, std::move(frame));
  }
}

std::optional<std::uint16_t> common_version(const Hello& hello) {
  const std::uint16_t newest = std::min(hello.newest_version, kProtocolVersion);
  if (newest < std::max(hello.oldest_version, kOldestVersion)) return std::nullopt;
  return newest;
}

}  // namespace fedstill
