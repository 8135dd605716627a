#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "coordinator/reception.h"
#include "launch/sites/monitor.h"

namespace fedstill {

// Where the round stands, for administrators: state, deadline, uploads, and every member with its
// phase, progress, bytes and speed, and what keeps events from being recorded. At most 1 MiB: with
// very many clients the last by name are left out, and counted.
nlohmann::json status_json(const Coordinator& coordinator, const std::string& job,
                           std::size_t expected, const Reception& reception, Instant now);
// The same in numbers, without what only the server knows.
Vitals vitals_of(const Coordinator& coordinator, const Reception& reception, Instant now);
// As a table for people.
std::string status_text(const nlohmann::json& status);

}  // namespace fedstill
