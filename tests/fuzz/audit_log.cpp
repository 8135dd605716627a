// Whatever is accepted is a chain: cut at any line it is one still.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/decode_error.h"
#include "transport/audit_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const fedstill::AuditSummary summary = fedstill::verify_audit_text(text);
    const std::size_t whole = size - summary.torn_bytes;
    if (fedstill::verify_audit_text(text.substr(0, whole)).entries != summary.entries) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
