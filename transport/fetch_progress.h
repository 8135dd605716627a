#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "transport/round_messages.h"

namespace fedstill {

inline constexpr const char* kFetchingPhase = "fetching";

// How far a client is with fetching what the plan's work needs, the pool first, then the student,
// in bytes; nothing where the blob is neither.
inline std::optional<Heartbeat> fetch_progress(const RoundPlan& plan, const std::string& sha256,
                                               std::uint64_t offset) {
  if (sha256 != plan.pool_hash && (plan.student_bytes == 0 || sha256 != plan.student)) return {};
  const std::uint64_t before = sha256 == plan.pool_hash ? 0 : plan.pool_bytes;
  return Heartbeat{plan.round, kFetchingPhase, before + offset,
                   plan.pool_bytes + plan.student_bytes};
}

}  // namespace fedstill
