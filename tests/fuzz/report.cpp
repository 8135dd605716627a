// report.json: any text is shown or throws DecodeError.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "launch/inspect.h"
#include "launch/outside_text.h"
#include "model/decode_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto found =
        fedstill::inspect_report({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (found.text.empty() || fedstill::json_text(found.data).empty()) __builtin_trap();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
