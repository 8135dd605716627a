#include "launch/sites/service_record.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "launch/event_log.h"
#include "launch/progress.h"
#include "launch/sites/audit.h"

namespace fedstill {
namespace {

// A disk that takes no more is no reason to leave those who look after it in the dark, nor to go on
// against their will. Everything else is done only where it is written down first.
bool may_go_unrecorded(const Message& message) {
  const auto* request = std::get_if<StatusRequest>(&message);
  return std::holds_alternative<Hello>(message) || (request != nullptr && request->what == "stop");
}

// Of an administrator who looks, again and again, the Hello says enough; what else one asks for is
// written down.
bool is_a_look(const Message& message) {
  const auto* request = std::get_if<StatusRequest>(&message);
  return std::holds_alternative<StatusReply>(message) ||
         (request != nullptr && only_looks(request->what));
}

}  // namespace

bool only_looks(std::string_view request) {
  constexpr std::array<std::string_view, 3> kLooks{"status", "rounds", "clients"};
  return std::ranges::find(kLooks, request) != kLooks.end();
}

void ServiceRecord::tell(const std::string& what) {
  run_.progress.message(what);
  log_.write(LogLevel::kInfo, what);
}

void ServiceRecord::note(const std::string& what) noexcept {
  note_refusal(what);
  try {
    run_.events.event("warning", {{"what", what}});
  } catch (const std::exception&) {
    // The log's own disk may be what is full.
  }
}

void ServiceRecord::note_refusal(const std::string& what) noexcept {
  try {
    log_.write(LogLevel::kWarning, what);
    run_.progress.message("warning: " + what);
  } catch (const std::exception&) {  // as above
  }
}

void ServiceRecord::note_frame(const std::string& peer, const Frame& frame, bool received) {
  log_.write(LogLevel::kDebug, frame_text(peer, frame, received));
  if (is_a_look(frame.message)) return;
  try {
    record_frame(audit_, peer, frame, received);
    run_.events.event(received ? "received" : "sent",
                      {{"peer", peer}, {"message", name(kind_of(frame.message))}});
  } catch (const std::system_error&) {
    if (received && !may_go_unrecorded(frame.message)) throw;
  }
}

}  // namespace fedstill
