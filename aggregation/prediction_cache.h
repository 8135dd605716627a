#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "aggregation/cache_header.h"

namespace fedstill {

// Predictions of every client on every image of one set, in a memory-mapped file (docs/formats.md):
// logits float32 [K, N, C] and confidences float32 [K, N], keyed by the model hashes and the hash
// of the images. A client's part is marked done, with a checksum, after its bytes are on disk, so a
// killed pass goes on where it was. Different clients' parts may be written from different threads;
// reading a part while it is written is the caller's mistake.
class PredictionCache {
 public:
  // Opens the file if it holds this key (a damaged or foreign one is replaced), else creates it.
  // Space is reserved before anything is mapped, so a full disk is a std::system_error here and
  // never a signal later; on failure the folder is as it was.
  static PredictionCache open_or_create(const std::filesystem::path& path, const CacheKey& key);
  // Read-only. Throws DecodeError unless header, size and the checksums of all done parts are
  // right.
  static PredictionCache open(const std::filesystem::path& path);
  ~PredictionCache();
  PredictionCache(PredictionCache&&) noexcept;
  PredictionCache& operator=(PredictionCache&&) noexcept;

  const CacheKey& key() const;
  std::int64_t clients() const;
  bool done(std::int64_t client) const;
  bool complete() const;  // every client is done
  // logits [N, C], confidences [N], float32; marks done. Throws std::invalid_argument on other
  // shapes, std::logic_error on a cache opened read-only.
  void write(std::int64_t client, const at::Tensor& logits, const at::Tensor& confidences);

  std::span<const float> logits(std::int64_t client) const;       // N × C
  std::span<const float> confidences(std::int64_t client) const;  // N
  // Of the images [begin, end), copied: [K, end − begin, C] and [K, end − begin].
  at::Tensor block_logits(std::int64_t begin, std::int64_t end) const;
  at::Tensor block_confidences(std::int64_t begin, std::int64_t end) const;
  std::string hash() const;  // of the key and all predictions. Requires: complete

 private:
  struct Mapping;
  explicit PredictionCache(std::unique_ptr<Mapping> mapping);
  std::unique_ptr<Mapping> mapping_;
};

}  // namespace fedstill
