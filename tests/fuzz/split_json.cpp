// Split files: any bytes decode or throw DecodeError, and what decodes is disjoint.
#include <cstdint>
#include <string_view>

#include "data/split.h"
#include "model/decode_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view json(reinterpret_cast<const char*>(data), size);
    const fedstill::Split split = fedstill::decode_split(json);
    fedstill::check_disjoint(split, std::int64_t{1} << 40);
  } catch (const fedstill::DecodeError&) {
  }
  return 0;
}
