#include "data/predictions_file.h"

#include <fcntl.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string_view>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/file_descriptor.h"

namespace fedstill {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie");

// magic, version u32, 4 zero bytes, samples u64, classes u64, pool hash, zeros
constexpr std::string_view kMagic = "FSTLPRED";
constexpr std::uint32_t kPredictionsVersion = 1;
constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kHashDigits = 64;
constexpr float kMaxLogit = 1e6F;
constexpr std::uint64_t kMaxValues = std::uint64_t{1} << 40;
constexpr std::size_t kPieceValues = std::size_t{1} << 18;

// Hands out the next bytes, as many as asked for.
using Take = std::function<void(std::span<std::byte>)>;
// Gets the values in order, first all logits, then the confidences.
using Give = std::function<void(bool are_confidences, std::span<const float>)>;

std::uint64_t value_count(const PredictionsShape& shape) {
  const auto samples = static_cast<std::uint64_t>(shape.samples);
  const auto classes = static_cast<std::uint64_t>(shape.classes);
  if (shape.samples < 1 || shape.classes < 1 || samples > kMaxValues ||
      classes >= kMaxValues / samples) {
    throw std::invalid_argument("[predictions] " + std::to_string(shape.samples) + " samples of " +
                                std::to_string(shape.classes) + " classes");
  }
  return samples * (classes + 1);
}

std::vector<std::byte> encode_header(const PredictionsShape& shape) {
  if (shape.pool_hash.size() != kHashDigits) {
    throw std::invalid_argument("[predictions] pool hash of " +
                                std::to_string(shape.pool_hash.size()) + " digits, expected 64");
  }
  std::vector<std::byte> bytes(kHeaderBytes);
  const auto put = [&](std::size_t at, const void* from, std::size_t size) {
    std::memcpy(bytes.data() + at, from, size);
  };
  put(0, kMagic.data(), kMagic.size());
  put(8, &kPredictionsVersion, 4);
  put(16, &shape.samples, 8);
  put(24, &shape.classes, 8);
  put(32, shape.pool_hash.data(), kHashDigits);
  return bytes;
}

// Checks values as they pass.
class Checker {
 public:
  void operator()(bool are_confidences, std::span<const float> values) {
    for (const float value : values) {
      are_confidences ? check_confidence(value) : check_logit(value);
      ++count_;
    }
  }
  void finish() const {
    if (!any_doubt_) throw DecodeError("[predictions] every confidence is 1");
  }

 private:
  void check_logit(float value) const {
    if (!(std::fabs(value) <= kMaxLogit)) refuse("logit", value, "a number within ±1000000");
  }
  void check_confidence(float value) {
    if (!(value >= 0.0F && value <= 1.0F)) refuse("confidence", value, "a number from 0 to 1");
    any_doubt_ = any_doubt_ || value < 1.0F;
  }
  [[noreturn]] void refuse(const std::string& what, float found, const char* expected) const {
    throw DecodeError("[predictions] value " + std::to_string(count_) + ", a " + what + ": found " +
                      std::to_string(found) + ", expected " + expected);
  }
  std::uint64_t count_ = 0;
  bool any_doubt_ = false;
};

void check_size(std::uint64_t found, const PredictionsShape& shape) {
  const std::uint64_t expected = predictions_file_bytes(shape);
  if (found == expected) return;
  throw DecodeError("[predictions] " + std::to_string(found) + " bytes, expected " +
                    std::to_string(expected));
}

void pass_all(const PredictionsShape& shape, const Take& take, const Give& give) {
  std::vector<std::byte> header(kHeaderBytes);
  take(header);
  if (header != encode_header(shape)) {
    throw DecodeError("[predictions] the header is not that of version 1 for " +
                      std::to_string(shape.samples) + " samples of " +
                      std::to_string(shape.classes) + " classes of this pool");
  }
  Checker check;
  std::vector<float> piece;
  const std::uint64_t samples = static_cast<std::uint64_t>(shape.samples);
  for (const bool are_confidences : {false, true}) {
    std::uint64_t left = are_confidences ? samples : value_count(shape) - samples;
    while (left > 0) {
      piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, kPieceValues)));
      take(std::as_writable_bytes(std::span(piece)));
      check(are_confidences, piece);
      give(are_confidences, piece);
      left -= piece.size();
    }
  }
  check.finish();
}

PoolPredictions collect(const PredictionsShape& shape, const Take& take) {
  PoolPredictions predictions;
  pass_all(shape, take, [&](bool are_confidences, std::span<const float> values) {
    auto& to = are_confidences ? predictions.confidences : predictions.logits;
    to.insert(to.end(), values.begin(), values.end());
  });
  return predictions;
}

void pass_file(const std::filesystem::path& file, const PredictionsShape& shape,
               const std::function<void(const Take&)>& pass) {
  check_size(std::filesystem::file_size(file), shape);
  FileDescriptor input(file, O_RDONLY);
  pass([&](std::span<std::byte> out) {
    while (!out.empty()) {
      const std::size_t count = input.read(out);
      if (count == 0) throw DecodeError("[predictions] " + file.string() + " ends early");
      out = out.subspan(count);
    }
  });
}

}  // namespace

std::uint64_t predictions_file_bytes(const PredictionsShape& shape) {
  return kHeaderBytes + sizeof(float) * value_count(shape);
}

void write_predictions_file(const std::filesystem::path& file, const PredictionsShape& shape,
                            std::span<const float> logits, std::span<const float> confidences) {
  const std::uint64_t samples = static_cast<std::uint64_t>(shape.samples);
  if (confidences.size() != samples || logits.size() != value_count(shape) - samples) {
    throw std::invalid_argument("[predictions] " + std::to_string(logits.size()) + " logits, " +
                                std::to_string(confidences.size()) + " confidences");
  }
  Checker check;
  try {
    check(false, logits);
    check(true, confidences);
    check.finish();
  } catch (const DecodeError& error) {
    throw std::invalid_argument(error.what());
  }
  std::vector<std::byte> bytes = encode_header(shape);
  for (const auto values : {logits, confidences}) {
    const auto raw = std::as_bytes(values);
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  }
  write_file_atomically(file, bytes);
}

PredictionsShape decode_predictions_shape(std::span<const std::byte> bytes) {
  PredictionsShape shape{std::string(kHashDigits, '0')};
  const auto take = [&](std::size_t at, void* to, std::size_t size) {
    std::memcpy(to, bytes.data() + at, size);
  };
  if (bytes.size() >= kHeaderBytes) {
    take(16, &shape.samples, 8);
    take(24, &shape.classes, 8);
    take(32, shape.pool_hash.data(), kHashDigits);
  }
  const auto header = bytes.first(std::min(bytes.size(), kHeaderBytes));
  if (!std::ranges::equal(header, encode_header(shape))) {
    throw DecodeError("[predictions] the first 128 bytes are not a header of version 1");
  }
  try {
    value_count(shape);
  } catch (const std::invalid_argument& error) {
    throw DecodeError(error.what());
  }
  return shape;
}

PoolPredictions decode_predictions(std::span<const std::byte> bytes,
                                   const PredictionsShape& shape) {
  check_size(bytes.size(), shape);
  return collect(shape, [&](std::span<std::byte> out) {
    std::copy_n(bytes.begin(), out.size(), out.begin());
    bytes = bytes.subspan(out.size());
  });
}

PoolPredictions read_predictions_file(const std::filesystem::path& file,
                                      const PredictionsShape& shape) {
  PoolPredictions predictions;
  pass_file(file, shape, [&](const Take& take) { predictions = collect(shape, take); });
  return predictions;
}

std::string find_predictions_problem(const std::filesystem::path& file,
                                     const PredictionsShape& shape) {
  try {
    pass_file(file, shape, [&](const Take& take) {
      pass_all(shape, take, [](bool, std::span<const float>) {});
    });
  } catch (const DecodeError& error) {
    return error.what();
  }
  return {};
}

}  // namespace fedstill
