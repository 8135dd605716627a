#include "launch/sites/service_record.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "launch/event_log.h"
#include "launch/progress.h"
#include "launch/sites/audit.h"

namespace fedstill {

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
    if (received) throw;
  }
}

}  // namespace fedstill
