// A frame that is accepted is encoded back to the same bytes; everything else is a DecodeError.
// Tried as it comes and with its checksum put right, or nothing would get past the header.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "model/decode_error.h"
#include "transport/crc32c.h"
#include "transport/frame.h"

namespace {

void try_frame(std::span<const std::byte> bytes) {
  try {
    const auto again = fedstill::encode_frame(fedstill::decode_frame(bytes));
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  try_frame(input);
  if (size < fedstill::kFrameHeaderBytes) return 0;
  std::vector<std::byte> bytes(input.begin(), input.end());
  const std::uint32_t checksum = fedstill::crc32c(std::span(bytes).first(24));
  for (std::size_t i = 0; i < 4; ++i) bytes[24 + i] = static_cast<std::byte>(checksum >> (8 * i));
  try_frame(bytes);
  return 0;
}
