#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/file_descriptor.h"
#include "transport/frame.h"

namespace fedstill {

// What passed between two parties, on one side: who, what, how much.
struct AuditEntry {
  std::int64_t unix_milliseconds = 0;
  std::string peer;    // these three as free text
  std::string action;  // "sent", "received", "opened", …
  std::string what;    // "RoundPlan of round 3"
  std::uint64_t bytes = 0;
  std::string sha256;  // of what it is about, or empty
};

// The entry of a frame, or nothing where it is one of many: a chunk, its progress, a heartbeat. A
// blob's bytes are told by the offer or the bundle that names it.
std::optional<AuditEntry> audit_entry(const std::string& peer, const Frame& frame, bool received,
                                      std::int64_t unix_milliseconds);

struct AuditSummary {
  std::uint64_t entries = 0;
  std::string last_hash;         // of the last line; 64 zeros before the first
  std::uint64_t torn_bytes = 0;  // a last line without its end, as a kill leaves it
};

// Every line is JSON and holds the hash of the line before and its own (docs/formats.md), so no
// line can be changed, removed or put in without the rest showing it; only the newest lines can be
// cut off, which the other party's log shows. Throws DecodeError naming the first line that is
// wrong.
AuditSummary verify_audit_text(std::string_view text);
AuditSummary verify_audit_log(const std::filesystem::path& file);  // and std::system_error

// Appends. One thread, one process at a time.
class AuditLog {
 public:
  // Creates or opens and verifies; what verify_audit_log() counts as torn is cut off. Throws
  // DecodeError, std::system_error.
  explicit AuditLog(const std::filesystem::path& file);

  // Survives a kill of this process when it returns, a power cut after sync(). Throws
  // std::system_error; the next append() first removes what was half-written.
  void append(const AuditEntry& entry);
  void sync();

  const AuditSummary& summary() const { return summary_; }  // torn_bytes: what opening cut off

 private:
  void reopen();

  std::filesystem::path path_;
  std::unique_ptr<FileDescriptor> file_;
  AuditSummary summary_;
  std::uint64_t size_ = 0;
};

}  // namespace fedstill
