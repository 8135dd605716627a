// A frame that is accepted is encoded back to the same bytes; everything else is a DecodeError.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "model/decode_error.h"
#include "transport/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const fedstill::Frame frame = fedstill::decode_frame(bytes);
    const auto again = fedstill::encode_frame(frame);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
