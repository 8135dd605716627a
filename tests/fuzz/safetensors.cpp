// A container that is accepted holds what is written back: the same content, and bytes that a
// second writing repeats. Everything else is a DecodeError. Tried as it comes and with the header's
// length put right.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>

#include "model/decode_error.h"
#include "model/safetensors.h"
#include "tests/fuzz/right_hash.h"

namespace {

void try_container(std::span<const std::byte> bytes) {
  try {
    const auto file = fedstill::decode_safetensors(bytes);
    const auto again = fedstill::encode_safetensors(file.metadata, file.tensors);
    const auto same = fedstill::decode_safetensors(again);
    if (same.metadata != file.metadata || same.tensors != file.tensors) std::abort();
    if (fedstill::encode_safetensors(same.metadata, same.tensors) != again) std::abort();
  } catch (const fedstill::DecodeError&) {
  } catch (const std::invalid_argument&) {  // the padded header would be longer than the limit
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  try_container(input);
  const auto bytes = fedstill::tests::with_right_length(input);
  if (bytes.empty()) return 0;
  try_container(bytes);
  return 0;
}
