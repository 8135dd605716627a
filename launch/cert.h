#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "launch/command_line.h"

namespace fedstill {

// fedstill cert init | request | sign | install | revoke | show: does it and describes what was
// done. Throws as launch/certificates/ says; UsageError for an argument that is missing.
nlohmann::json run_cert(const CertCommand& command);
std::string cert_text(const nlohmann::json& done);  // for people

}  // namespace fedstill
