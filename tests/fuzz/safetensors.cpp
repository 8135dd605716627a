// A container that is accepted holds what is written back: the same content, and bytes that a
// second writing repeats. Everything else is a DecodeError. Tried as it comes and with the header's
// length put right.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>
#include <vector>

#include "model/decode_error.h"
#include "model/safetensors.h"

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
  std::size_t end = size;  // of the header: its last brace
  while (end > 8 && data[end - 1] != '}') --end;
  if (end <= 8) return 0;
  std::vector<std::byte> bytes(input.begin(), input.end());
  const std::uint64_t length = end - 8;
  std::memcpy(bytes.data(), &length, 8);
  try_container(bytes);
  return 0;
}
