// The first byte picks the kind. A message that is accepted is encoded back to the same bytes;
// everything else is a DecodeError.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "model/decode_error.h"
#include "transport/archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  try {
    const auto message =
        fedstill::decode_message(static_cast<fedstill::MessageKind>(data[0]), bytes);
    const auto again = fedstill::encode_message(message);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
