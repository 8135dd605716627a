#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// Predictions of every client on every image of one set, in a memory-mapped file (docs/formats.md):
// logits float32 [K, N, C] and confidences float32 [K, N], keyed by the model hashes and the hash
// of the images. A client's part is marked done after its bytes are on disk, so a killed pass goes
// on where it was.
struct CacheKey {
  std::string images;                       // hash of the pool
  std::vector<std::string> models;          // hash of every client's model file, in client order
  std::vector<std::int64_t> sample_counts;  // n_k
  std::int64_t samples = 0, classes = 0;
  bool operator==(const CacheKey&) const = default;
};

class PredictionCache {
 public:
  // Opens the file if it holds this key (a damaged or foreign one is replaced), else creates it.
  // Throws std::system_error on I/O errors such as a full disk.
  static PredictionCache open_or_create(const std::filesystem::path& path, const CacheKey& key);
  static PredictionCache open(
      const std::filesystem::path& path);  // read-only; DecodeError on damaged files
  ~PredictionCache();
  PredictionCache(PredictionCache&&) noexcept;
  PredictionCache& operator=(PredictionCache&&) noexcept;

  const CacheKey& key() const;
  bool done(std::int64_t client) const;
  void write(std::int64_t client, const at::Tensor& logits,
             const at::Tensor& confidences);  // [N, C], [N]; marks done

  std::span<const float> logits(std::int64_t client) const;       // N × C
  std::span<const float> confidences(std::int64_t client) const;  // N
  std::string hash() const;                                       // of the predictions

 private:
  struct Mapping;
  explicit PredictionCache(std::unique_ptr<Mapping> mapping);
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace fedstill
