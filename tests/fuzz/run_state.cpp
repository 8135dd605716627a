// state/*.json of a run folder: any text is a client's record, or a map of seconds, or refused with
// DecodeError or, where a key is missing or of a wrong type, an exception of the JSON library,
// which RunFolder turns into one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "launch/outside_text.h"
#include "launch/run_folder.h"
#include "launch/stages/clients.h"
#include "model/decode_error.h"

namespace {

template <typename Take>
void try_to(const Take& take) {
  try {
    take();
  } catch (const nlohmann::json::exception&) {
  }
}

// What was read is remembered and read again as the same.
void as_client(const nlohmann::json& state) {
  const std::string once = fedstill::json_text(to_json(fedstill::client_record(state)));
  const auto again = fedstill::client_record(fedstill::decode_state(once, "again"));
  if (fedstill::json_text(to_json(again)) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto state = fedstill::decode_state({reinterpret_cast<const char*>(data), size}, "fuzz");
    try_to([&] { as_client(state); });
    try_to([&] { state.get<std::map<std::string, double>>(); });
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
