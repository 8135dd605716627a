#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "launch/sites/service_log.h"
#include "launch/stages/run.h"
#include "transport/audit_log.h"
#include "transport/frame.h"

namespace fedstill {

// Whether what an administrator asks for changes nothing: "status", "rounds", "clients".
bool only_looks(std::string_view request);

// Where a coordinator writes down what it does: progress for who watches, its log, the run's
// events, and the audit log. Any thread, but for note_frame().
class ServiceRecord {
 public:
  // run and log must outlive it. Throws what AuditLog throws.
  ServiceRecord(const Run& run, ServiceLog& log)
      : run_(run), log_(log), audit_(run.folder.file("audit.jsonl")) {}

  void tell(const std::string& what);           // that all goes as it should
  void note(const std::string& what) noexcept;  // that something does not
  // That somebody was not let in: strangers may cause as many as they like, and the run's events
  // have no end, so these are not among them.
  void note_refusal(const std::string& what) noexcept;
  // What is received is refused where it cannot be written down (std::system_error), unless it only
  // greets or ends the coordinator; what is sent goes out. Looks are not written down. On the
  // brain.
  void note_frame(const std::string& peer, const Frame& frame, bool received);
  ServiceLog& log() { return log_; }

 private:
  const Run& run_;
  ServiceLog& log_;
  AuditLog audit_;
};

}  // namespace fedstill
