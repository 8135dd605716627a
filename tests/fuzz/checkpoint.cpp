#include "training/checkpoint.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "model/decode_error.h"
#include "model/sha256.h"

// The checksum is put right first, or no input would ever get past it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMagic = 15, kBody = kMagic + 64;
  const std::byte* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  if (size >= kBody) {
    const std::string digest = fedstill::sha256_hex(std::span(bytes).subspan(kBody));
    std::memcpy(bytes.data() + kMagic, digest.data(), digest.size());
  }
  try {
    const fedstill::Checkpoint checkpoint = fedstill::decode_checkpoint(bytes);
    if (fedstill::encode_checkpoint(checkpoint) != bytes) std::abort();
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
