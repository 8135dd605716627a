#include "launch/sites/audit.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "model/named_file.h"

namespace fedstill {
namespace {

// What announces data. Few enough that each may wait for the disk; a bundle is told to everybody at
// once, and every one of them writes down that it came.
bool must_survive_a_power_cut(MessageKind kind, bool received) {
  return kind == MessageKind::kBlobOffer || kind == MessageKind::kUpload ||
         kind == MessageKind::kPredictions || (kind == MessageKind::kBundle && received);
}

}  // namespace

void record_frame(AuditLog& log, const std::string& peer, const Frame& frame, bool received) {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  if (const auto entry = audit_entry(peer, frame, received, now.count())) log.append(*entry);
  if (must_survive_a_power_cut(kind_of(frame.message), received)) log.sync();
}

std::string frame_text(const std::string& peer, const Frame& frame, bool received) {
  return (received ? "received " : "sent ") + std::string(name(kind_of(frame.message))) +
         (received ? " from " : " to ") + peer;
}

nlohmann::json verify_audit(const std::filesystem::path& file) {
  const AuditSummary summary = decode_named(file, [&] { return verify_audit_log(file); });
  return {{"file", file.string()},
          {"entries", summary.entries},
          {"last_hash", summary.last_hash},
          {"torn_bytes", summary.torn_bytes}};
}

std::string audit_text(const nlohmann::json& verified) {
  std::string out = verified.at("file").get<std::string>() + ": " +
                    std::to_string(verified.at("entries").get<std::uint64_t>()) +
                    " entries, unbroken; the last has the hash " +
                    verified.at("last_hash").get<std::string>() + "\n";
  if (const auto torn = verified.at("torn_bytes").get<std::uint64_t>(); torn > 0) {
    out += "a last line of " + std::to_string(torn) + " bytes was not finished\n";
  }
  return out;
}

}  // namespace fedstill
