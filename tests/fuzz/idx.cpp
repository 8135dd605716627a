// IDX images and labels, plain or gzip: any bytes decode or throw DataError.
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/data_error.h"
#include "data/readers.h"

namespace {

constexpr std::size_t kMaxInflated = std::size_t{1} << 20;

template <typename Decode>
void try_decode(Decode decode) {
  try {
    decode();
  } catch (const fedstill::DataError&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> bytes(data, data + size);
  try_decode([&] { bytes = fedstill::inflate_if_gzip(bytes, kMaxInflated, "fuzz"); });
  try_decode([&] {
    const fedstill::Images images = fedstill::decode_idx_images(bytes, "fuzz");
    if (images.count() < 1) __builtin_trap();
  });
  try_decode([&] {
    if (fedstill::decode_idx_labels(bytes, "fuzz").size() + 8 != bytes.size()) __builtin_trap();
  });
  return 0;
}
