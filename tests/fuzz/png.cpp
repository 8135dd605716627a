#include <cstddef>
#include <cstdint>
#include <span>

#include "data/data_error.h"
#include "launch/png_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const int channels : {1, 3}) {
    try {
      const fedstill::Images images = fedstill::decode_png(bytes, channels, "fuzz");
      if (images.count() != 1) __builtin_trap();
    } catch (const fedstill::DataError&) {
    }
  }
  return 0;
}
