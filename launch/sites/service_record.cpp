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
  if (std::holds_alternative<Hello>(message)) return true;
  const auto* request = std::get_if<StatusRequest>(&message);
  if (request == nullptr) return false;
  constexpr std::array<std::string_view, 4> kLooks{"status", "rounds", "clients", "stop"};
  return std::ranges::find(kLooks, request->what) != kLooks.end();
}

}  // namespace

void ServiceRecord::tell(const std::string& what) {
  run_.progress.message(what);
  log_.write(LogLevel::kInfo, what);
}

void ServiceRecord::note(const std::string& what) noexcept {
  try {
    log_.write(LogLevel::kWarning, what);
    run_.progress.message("warning: " + what);
    run_.events.event("warning", {{"what", what}});
  } catch (const std::exception&) {
    // The log's own disk may be what is full.
  }
}

void ServiceRecord::note_frame(const std::string& peer, const Frame& frame, bool received) {
  log_.write(LogLevel::kDebug, frame_text(peer, frame, received));
  try {
    record_frame(audit_, peer, frame, received);
    run_.events.event(received ? "received" : "sent",
                      {{"peer", peer}, {"message", name(kind_of(frame.message))}});
  } catch (const std::system_error&) {
    if (received && !may_go_unrecorded(frame.message)) throw;
  }
}

}  // namespace fedstill
