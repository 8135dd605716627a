#include "launch/stages/federation.h"

#include <chrono>
#include <stdexcept>

#include "model/sha256.h"

namespace fedstill {
namespace {

using std::chrono::milliseconds;

Instant now() {
  return std::chrono::duration_cast<Instant>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

// Both ends of one client's connection.
struct Federation::Seat {
  Seat(const std::filesystem::path& folder, ClientIdentity identity)
      : store(folder), session(std::move(identity), store) {
    std::tie(client_end, coordinator_end) = make_in_process_channel();
  }

  bool client_speaks() {
    bool spoke = false;
    if (const auto frame = client_end->receive(milliseconds(0))) {
      say(session.receive(*frame));
      spoke = true;
    }
    if (const auto chunk = session.next_chunk()) {
      client_end->send(*chunk);
      spoke = true;
    }
    return spoke;
  }
  bool coordinator_speaks(Reception& reception) {
    const auto frame = coordinator_end->receive(milliseconds(0));
    if (frame) reception.receive(id, *frame, now());
    sent = false;
    reception.drained(id, now());
    return frame.has_value() || sent;
  }
  void say(const std::vector<Frame>& frames) {
    for (const Frame& frame : frames) client_end->send(frame);
  }

  std::unique_ptr<Channel> client_end, coordinator_end;
  ClientStore store;
  ClientSession session;
  Reception::Id id = 0;
  bool sent = false;
};

Federation::Federation(const CoordinatorOptions& options, Store& store, std::filesystem::path sites)
    : sites_(std::move(sites)),
      store_(store),
      coordinator_(options, store, now()),
      reception_(coordinator_) {}

Federation::~Federation() {
  seats_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(sites_, ignored);
}

void Federation::join(const std::string& client, const std::string& architecture,
                      std::int64_t sample_count) {
  const std::lock_guard guard(mutex_);
  auto [place, added] = seats_.try_emplace(client);
  if (!added) return;
  place->second =
      std::make_unique<Seat>(sites_ / client, ClientIdentity{client, architecture, sample_count});
  Seat& seat = *place->second;
  const auto send = [&seat](const Frame& frame) {
    seat.coordinator_end->send(frame);
    seat.sent = true;
  };
  const auto end = [&seat](const std::string&) { seat.coordinator_end->close(); };
  seat.id = reception_.open(client, "client", {send, end}, now());
  seat.say(seat.session.connected());
  converse(client, seat);
}

void Federation::upload(const std::string& client, const std::filesystem::path& update) {
  const std::lock_guard guard(mutex_);
  Seat& seat = seat_of(client);
  // In a run that goes on it may have been sent when the client joined, or in an earlier attempt.
  if (seat.session.state() == ClientSession::State::kTraining) {
    seat.say(seat.session.finished(update));
  }
  converse(client, seat);
  const auto& uploads = coordinator_.round().uploads();
  const auto arrived = uploads.find(client);
  if (arrived == uploads.end() || arrived->second != sha256_hex_of_file(update)) {
    throw std::logic_error("[federation] the update of " + client + " did not arrive");
  }
}

void Federation::publish(const std::vector<std::byte>& bundle,
                         const std::vector<std::byte>& lesson) {
  using State = ClientSession::State;
  const std::lock_guard guard(mutex_);
  if (!coordinator_.finished()) {
    const BlobInfo student = lesson.empty() ? BlobInfo{} : store_.blobs().add(lesson);
    reception_.publish(store_.blobs().add(bundle), student, now());
  }
  const State expected = coordinator_.finished() ? State::kDone : State::kTraining;
  for (auto& [client, seat] : seats_) {
    converse(client, *seat);
    if (seat->session.state() != expected) {
      throw std::logic_error("[federation] " + client + " did not take what the round made");
    }
  }
}

std::uint32_t Federation::round() const {
  const std::lock_guard guard(mutex_);
  return coordinator_.round().number();
}

std::vector<Teacher> Federation::teachers() const {
  const std::lock_guard guard(mutex_);
  const std::vector<AcceptedUpdate> updates = coordinator_.updates();
  check_hashes(updates);
  return teachers_of(updates);
}

Federation::Seat& Federation::seat_of(const std::string& client) {
  const auto place = seats_.find(client);
  if (place == seats_.end()) throw std::logic_error("[federation] " + client + " never joined");
  return *place->second;
}

void Federation::converse(const std::string& client, Seat& seat) {
  for (bool talking = true; talking;) {
    talking = seat.coordinator_speaks(reception_);
    if (seat.client_speaks()) talking = true;
  }
  if (seat.session.state() == ClientSession::State::kRefused) {
    throw std::logic_error("[federation] " + client + " was refused: " + seat.session.refusal());
  }
}

}  // namespace fedstill
