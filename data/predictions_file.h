#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// What a client that keeps its model to itself says about the pool (docs/formats.md): logits
// [N, C] and one confidence per image.
struct PredictionsShape {
  std::string pool_hash;  // SHA-256 that names the pool
  std::int64_t samples = 0, classes = 0;
  bool operator==(const PredictionsShape&) const = default;
};
struct PoolPredictions {
  std::vector<float> logits, confidences;  // N × C row by row, N
};

// The exact size of such a file. Throws std::invalid_argument without samples or classes, or for
// more than 2^40 values.
std::uint64_t predictions_file_bytes(const PredictionsShape& shape);

// Written whole. Throws std::invalid_argument for other sizes or values that no reader accepts,
// std::system_error.
void write_predictions_file(const std::filesystem::path& file, const PredictionsShape& shape,
                            std::span<const float> logits, std::span<const float> confidences);

// What the first bytes of a file claim. Throws DecodeError unless they are a header of version 1
// for at least one sample and class and at most 2^40 values.
PredictionsShape decode_predictions_shape(std::span<const std::byte> bytes);

// Throws DecodeError unless it is of exactly this shape, every logit finite and within ±10^6, every
// confidence within [0, 1] and not all of them 1: who is sure of everything says nothing.
PoolPredictions decode_predictions(std::span<const std::byte> bytes, const PredictionsShape& shape);
PoolPredictions read_predictions_file(const std::filesystem::path& file,
                                      const PredictionsShape& shape);  // and std::system_error

// Why the file would not be read, or nothing; never whole in memory. Throws std::system_error.
std::string find_predictions_problem(const std::filesystem::path& file,
                                     const PredictionsShape& shape);

}  // namespace fedstill
