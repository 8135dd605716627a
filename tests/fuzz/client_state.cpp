// A state that is accepted is written back to the same text; everything else is a DecodeError.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "client/client_store.h"
#include "model/decode_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (fedstill::encode_client_state(fedstill::decode_client_state(text)) != text) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
