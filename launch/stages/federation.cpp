#include "launch/stages/federation.h"

#include <chrono>
#include <stdexcept>

#include "model/sha256.h"

namespace fedstill {
namespace {

Instant now() {
  return std::chrono::duration_cast<Instant>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace

Federation::Federation(const CoordinatorOptions& options, Store& store)
    : round_(options.plan.round), coordinator_(options, store, now()) {}

void Federation::join(const std::string& client, const std::string& architecture,
                      std::int64_t sample_count) {
  const std::lock_guard guard(mutex_);
  auto [client_end, coordinator_end] = make_in_process_channel();
  auto [place, added] =
      seats_.try_emplace(client, Seat{std::move(client_end), std::move(coordinator_end),
                                      ClientSession(client, architecture, sample_count)});
  if (!added) throw std::logic_error("[federation] " + client + " joined twice");
  place->second.client_end->send(place->second.session.start());
  converse(client, place->second);
}

void Federation::upload(const std::string& client, const ClientUpdate& update) {
  const std::lock_guard guard(mutex_);
  Seat& seat = seat_of(client);
  seat.client_end->send(seat.session.finished(update));
  converse(client, seat);
}

void Federation::send_bundle(const std::vector<std::byte>& bytes) {
  const std::lock_guard guard(mutex_);
  const Frame frame{Bundle{round_, sha256_hex(bytes), bytes.size()}, bytes};
  for (auto& [client, seat] : seats_) {
    seat.coordinator_end->send(frame);
    converse(client, seat);
    if (seat.session.state() != ClientSession::State::kDone) {
      throw std::logic_error("[federation] " + client + " did not take the bundle");
    }
  }
}

std::vector<Teacher> Federation::teachers() const {
  const std::lock_guard guard(mutex_);
  return coordinator_.teachers();
}

Federation::Seat& Federation::seat_of(const std::string& client) {
  const auto place = seats_.find(client);
  if (place == seats_.end()) throw std::logic_error("[federation] " + client + " never joined");
  return place->second;
}

void Federation::converse(const std::string& client, Seat& seat) {
  using std::chrono::milliseconds;
  for (bool talking = true; talking;) {
    talking = false;
    if (const auto frame = seat.coordinator_end->receive(milliseconds(0))) {
      for (const auto& answer : coordinator_.receive(*frame, now())) {
        seat.coordinator_end->send(answer);
      }
      talking = true;
    }
    if (const auto frame = seat.client_end->receive(milliseconds(0))) {
      for (const auto& answer : seat.session.receive(*frame)) seat.client_end->send(answer);
      talking = true;
    }
  }
  if (seat.session.state() == ClientSession::State::kRefused) {
    throw std::logic_error("[federation] " + client + " was refused: " + seat.session.refusal());
  }
}

}  // namespace fedstill
