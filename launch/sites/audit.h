#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "transport/audit_log.h"

namespace fedstill {

// Writes what passes between this side and a peer to the log: everything but chunks and signs of
// life. What announces data survives a power cut from here on, so before the data leave. One thread
// at a time. Requires: the log outlives it. Throws what AuditLog throws.
void record_frame(AuditLog& log, const std::string& peer, const Frame& frame, bool received);

// "received Upload from client-01", for a log.
std::string frame_text(const std::string& peer, const Frame& frame, bool received);

// fedstill audit verify: {"file", "entries", "last_hash", "torn_bytes"}. Throws DecodeError naming
// the first line that is wrong.
nlohmann::json verify_audit(const std::filesystem::path& file);
std::string audit_text(const nlohmann::json& verified);  // for people

}  // namespace fedstill
