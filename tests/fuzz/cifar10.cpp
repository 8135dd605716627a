// CIFAR-10 records, plain or gzip: any bytes decode or throw DataError.
#include <cstdint>
#include <vector>

#include "data/data_error.h"
#include "data/readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = fedstill::inflate_if_gzip({data, size}, std::size_t{1} << 20, "fuzz");
    const fedstill::LabeledImages decoded = fedstill::decode_cifar10(bytes, "fuzz");
    if (decoded.labels.size() * 3073 != bytes.size()) __builtin_trap();
  } catch (const fedstill::DataError&) {
  }
  return 0;
}
