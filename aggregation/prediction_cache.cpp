#include "aggregation/prediction_cache.h"

#include <ATen/ops/empty.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "model/decode_error.h"
#include "model/file_descriptor.h"
#include "model/sha256.h"
#include "model/temporary_file.h"

namespace fedstill {
namespace {

[[noreturn]] void throw_system(int error, const char* what, const std::filesystem::path& path) {
  throw std::system_error(error, std::generic_category(),
                          "[prediction cache] " + std::string(what) + " " + path.string());
}

// posix_fallocate reserves every block: writing through the mapping cannot run out of disk.
void create_file(const std::filesystem::path& path, const CacheKey& key) {
  const CacheHeader header = make_cache_header(key);
  TemporaryFile part(path, O_RDWR);
  const int error = ::posix_fallocate(part.file().get(), 0, static_cast<off_t>(header.file_bytes));
  if (error != 0) throw_system(error, "reserving space for", path);
  part.file().write(encode_cache_header(header));
  part.replace_target();
}

void check_predictions(const at::Tensor& tensor, at::IntArrayRef expected, const char* what) {
  if (tensor.scalar_type() != at::kFloat || tensor.sizes() != expected || !tensor.is_cpu()) {
    throw std::invalid_argument("[prediction cache] " + std::string(what) +
                                ": not a float32 tensor on the CPU of the cache's shape");
  }
}

}  // namespace

struct PredictionCache::Mapping {
  std::filesystem::path path;
  bool writable = false;
  CacheHeader header;
  std::byte* data = nullptr;
  std::size_t bytes = 0;

  Mapping(const std::filesystem::path& file_path, bool write) : path(file_path), writable(write) {
    const FileDescriptor file(path, write ? O_RDWR : O_RDONLY);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_system(errno, "measuring", path);
    if (status.st_size <= 0) {
      throw DecodeError("[prediction cache] " + path.string() + " is empty");
    }
    bytes = static_cast<std::size_t>(status.st_size);
    void* address = ::mmap(nullptr, bytes, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
                           file.get(), 0);
    if (address == MAP_FAILED) throw_system(errno, "mapping", path);
    data = static_cast<std::byte*>(address);
  }
  ~Mapping() { ::munmap(data, bytes); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::size_t clients() const { return header.key.models.size(); }
  std::size_t samples() const { return static_cast<std::size_t>(header.key.samples); }
  std::size_t row() const { return samples() * static_cast<std::size_t>(header.key.classes); }

  std::size_t checked(std::int64_t client) const {
    if (client < 0 || static_cast<std::size_t>(client) >= clients()) {
      throw std::invalid_argument("[prediction cache] client " + std::to_string(client) + " of " +
                                  std::to_string(clients()));
    }
    return static_cast<std::size_t>(client);
  }

  // Offsets are multiples of kCacheAlignment or of a float from there: aligned for float.
  std::span<float> floats(std::uint64_t offset, std::size_t count) const {
    return {reinterpret_cast<float*>(data + offset), count};
  }
  std::span<float> logits(std::size_t k) const {
    return floats(header.logits_offset + k * row() * sizeof(float), row());
  }
  std::span<float> confidences(std::size_t k) const {
    return floats(header.confidences_offset + k * samples() * sizeof(float), samples());
  }

  void check_block(std::int64_t begin, std::int64_t end) const {
    if (begin < 0 || begin > end || end > header.key.samples) {
      throw std::invalid_argument("[prediction cache] images " + std::to_string(begin) + " to " +
                                  std::to_string(end) + " of " +
                                  std::to_string(header.key.samples));
    }
  }

  std::string checksum(std::size_t k) const {
    Sha256 hash;
    hash.update(std::as_bytes(logits(k)));
    hash.update(std::as_bytes(confidences(k)));
    return hash.hex();
  }

  // Reads the header and holds every part that claims to be done against its checksum.
  void verify() {
    header = decode_cache_header({data, bytes});
    if (header.file_bytes != bytes) {
      throw DecodeError("[prediction cache] " + path.string() + ": " + std::to_string(bytes) +
                        " bytes, expected " + std::to_string(header.file_bytes));
    }
    for (std::size_t k = 0; k < clients(); ++k) {
      if (!header.checksums[k].empty() && header.checksums[k] != checksum(k)) {
        throw DecodeError("[prediction cache] " + path.string() + ": the part of client " +
                          std::to_string(k) + " does not match its checksum");
      }
    }
  }

  void flush(std::span<const std::byte> range) const {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto begin = static_cast<std::size_t>(range.data() - data) / page * page;
    const auto end = static_cast<std::size_t>(range.data() - data) + range.size();
    if (::msync(data + begin, end - begin, MS_SYNC) != 0) throw_system(errno, "flushing", path);
  }
};

PredictionCache::PredictionCache(std::unique_ptr<Mapping> mapping) : mapping_(std::move(mapping)) {}
PredictionCache::~PredictionCache() = default;
PredictionCache::PredictionCache(PredictionCache&&) noexcept = default;
PredictionCache& PredictionCache::operator=(PredictionCache&&) noexcept = default;

PredictionCache PredictionCache::open(const std::filesystem::path& path) {
  auto mapping = std::make_unique<Mapping>(path, false);
  mapping->verify();
  return PredictionCache(std::move(mapping));
}

PredictionCache PredictionCache::open_or_create(const std::filesystem::path& path,
                                                const CacheKey& key) {
  if (std::filesystem::exists(path)) {
    try {
      auto mapping = std::make_unique<Mapping>(path, true);
      mapping->verify();
      if (mapping->header.key == key) return PredictionCache(std::move(mapping));
    } catch (const DecodeError&) {
      // Predictions can be made again: a damaged cache is worth no more than none.
    }
  }
  create_file(path, key);
  auto mapping = std::make_unique<Mapping>(path, true);
  mapping->verify();
  return PredictionCache(std::move(mapping));
}

const CacheKey& PredictionCache::key() const { return mapping_->header.key; }

std::int64_t PredictionCache::clients() const {
  return static_cast<std::int64_t>(mapping_->clients());
}

bool PredictionCache::done(std::int64_t client) const {
  return !mapping_->header.checksums[mapping_->checked(client)].empty();
}

bool PredictionCache::complete() const {
  return std::ranges::none_of(mapping_->header.checksums, &std::string::empty);
}

// The data reaches the disk before the checksum that vouches for it.
void PredictionCache::write(std::int64_t client, const at::Tensor& logits,
                            const at::Tensor& confidences) {
  if (!mapping_->writable) {
    throw std::logic_error("[prediction cache] " + mapping_->path.string() +
                           " was opened for reading");
  }
  const std::size_t k = mapping_->checked(client);
  check_predictions(logits, {key().samples, key().classes}, "logits");
  check_predictions(confidences, {key().samples}, "confidences");
  const auto copy = [](const at::Tensor& from, std::span<float> to) {
    std::memcpy(to.data(), from.contiguous().const_data_ptr<float>(), to.size_bytes());
  };
  const auto entry_offset = mapping_->header.checksums_offset + k * kChecksumBytes;
  const std::span entry{mapping_->data + entry_offset, kChecksumBytes};
  if (done(client)) {
    mapping_->header.checksums[k].clear();
    std::ranges::fill(entry, std::byte{0});
    mapping_->flush(entry);
  }
  copy(logits, mapping_->logits(k));
  copy(confidences, mapping_->confidences(k));
  mapping_->flush(std::as_bytes(mapping_->logits(k)));
  mapping_->flush(std::as_bytes(mapping_->confidences(k)));
  const std::string checksum = mapping_->checksum(k);
  std::memcpy(entry.data(), checksum.data(), kChecksumBytes);
  mapping_->flush(entry);
  mapping_->header.checksums[k] = checksum;
}

std::span<const float> PredictionCache::logits(std::int64_t client) const {
  return mapping_->logits(mapping_->checked(client));
}

std::span<const float> PredictionCache::confidences(std::int64_t client) const {
  return mapping_->confidences(mapping_->checked(client));
}

at::Tensor PredictionCache::block_logits(std::int64_t begin, std::int64_t end) const {
  mapping_->check_block(begin, end);
  const std::int64_t classes = key().classes;
  at::Tensor out = at::empty({clients(), end - begin, classes}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (std::int64_t k = 0; k < clients(); ++k) {
    const auto part = logits(k).subspan(static_cast<std::size_t>(begin * classes),
                                        static_cast<std::size_t>((end - begin) * classes));
    to = std::ranges::copy(part, to).out;
  }
  return out;
}

at::Tensor PredictionCache::block_confidences(std::int64_t begin, std::int64_t end) const {
  mapping_->check_block(begin, end);
  at::Tensor out = at::empty({clients(), end - begin}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (std::int64_t k = 0; k < clients(); ++k) {
    const auto part = confidences(k).subspan(static_cast<std::size_t>(begin),
                                             static_cast<std::size_t>(end - begin));
    to = std::ranges::copy(part, to).out;
  }
  return out;
}

std::string PredictionCache::hash() const {
  if (!complete()) {
    throw std::logic_error("[prediction cache] " + mapping_->path.string() + " is not complete");
  }
  return sha256_hex(encode_cache_header(mapping_->header));
}

}  // namespace fedstill
