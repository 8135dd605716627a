#include <string>

#include "data/data_error.h"
#include "data/readers.h"

namespace fedstill {
namespace {

constexpr std::int64_t kClasses = 10;
constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kPixels = std::size_t{3} * 32 * 32;
constexpr std::size_t kRecord = 1 + kPixels;

[[noreturn]] void refuse_cifar10(std::string_view origin, const std::string& found,
                                 const std::string& expected) {
  throw DataError("[cifar10] " + std::string(origin) + ": found " + found + ", expected " +
                  expected);
}

}  // namespace

LabeledImages decode_cifar10(std::span<const std::uint8_t> bytes, std::string_view origin) {
  if (bytes.empty() || bytes.size() % kRecord != 0) {
    refuse_cifar10(origin, std::to_string(bytes.size()) + " bytes",
                   "records of " + std::to_string(kRecord) + " bytes");
  }
  const std::size_t count = bytes.size() / kRecord;
  LabeledImages decoded{{kShape, {}}, {}};
  decoded.images.pixels.reserve(count * kPixels);
  decoded.labels.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto record = bytes.subspan(i * kRecord, kRecord);
    if (record[0] >= kClasses) {
      refuse_cifar10(origin,
                     "label " + std::to_string(record[0]) + " in record " + std::to_string(i),
                     "0 to " + std::to_string(kClasses - 1));
    }
    decoded.labels.push_back(record[0]);
    decoded.images.pixels.insert(decoded.images.pixels.end(), record.begin() + 1, record.end());
  }
  return decoded;
}

}  // namespace fedstill
