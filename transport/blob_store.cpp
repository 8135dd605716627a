#include "transport/blob_store.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "model/atomic_file.h"
#include "transport/message.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

// What add_file() writes as; no peer can be called so, as names do not begin with a dot.
constexpr const char* kOwnFiles = ".own";
constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
constexpr std::string_view kPartial = ".part";

bool is_partial(const fs::path& file) { return file.filename().string().ends_with(kPartial); }

std::uint64_t size_on_disk(const fs::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

}  // namespace

BlobStore::BlobStore(fs::path folder, const BlobLimits& limits)
    : folder_(std::move(folder)), limits_(limits) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw std::system_error(error, "[blobs] " + folder_.string());
  total_bytes_ = size_on_disk(folder_);
}

bool BlobStore::has(const std::string& sha256) const {
  return is_sha256(sha256) && fs::is_regular_file(file(sha256));
}

fs::path BlobStore::path(const std::string& sha256) const {
  if (has(sha256)) return file(sha256);
  throw std::invalid_argument("[blobs] no blob '" + to_free_text(sha256, 64) + "' in " +
                              folder_.string());
}

BlobInfo BlobStore::info(const std::string& sha256) const {
  return {sha256, fs::file_size(path(sha256))};
}

std::vector<BlobInfo> BlobStore::list() const {
  std::vector<BlobInfo> blobs;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (is_sha256(name) && entry.is_regular_file()) blobs.push_back({name, entry.file_size()});
  }
  std::ranges::sort(blobs, {}, &BlobInfo::sha256);
  return blobs;
}

BlobInfo BlobStore::add(std::span<const std::byte> bytes) {
  BlobInfo blob{sha256_hex(bytes), bytes.size()};
  if (has(blob.sha256)) return blob;
  take_room(blob.bytes);
  try {
    write_file_atomically(file(blob.sha256), bytes);
  } catch (...) {
    give_room(blob.bytes);
    throw;
  }
  return blob;
}

BlobInfo BlobStore::add_file(const fs::path& source) {
  BlobInfo blob{sha256_hex_of_file(source), fs::file_size(source)};
  if (has(blob.sha256)) return blob;
  if (blob.bytes == 0) return add({});
  BlobWriter writer(*this, blob, kOwnFiles);
  FileDescriptor file(source, O_RDONLY);
  std::vector<std::byte> piece(kCopyBytes);
  while (writer.state() == BlobWriter::State::kOpen) {
    const std::size_t count = file.read_at(writer.offset(), piece);
    if (count == 0) break;
    writer.append(writer.offset(), std::span(piece).first(count));
  }
  if (writer.state() == BlobWriter::State::kComplete) return blob;
  throw std::system_error(EIO, std::generic_category(),
                          "[blobs] " + source.string() + " changed while it was read");
}

void BlobStore::remove(const std::string& sha256) {
  if (!has(sha256)) return;
  const std::uint64_t bytes = fs::file_size(file(sha256));
  if (fs::remove(file(sha256))) give_room(bytes);
}

void BlobStore::remove_partial(const std::string& owner) {
  const std::string end = "." + owner + std::string(kPartial);
  // The hash before it has no dot, so an owner is never the tail of another.
  remove_where([&](const fs::path& file) {
    const std::string name = file.filename().string();
    return name.size() == 64 + end.size() && name.ends_with(end);
  });
}

void BlobStore::remove_partials() { remove_where(is_partial); }

template <typename Condition>
void BlobStore::remove_where(const Condition& condition) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (condition(entry.path())) found.push_back(entry.path());
  }
  for (const fs::path& file : found) {
    const std::uint64_t bytes = fs::file_size(file);
    if (fs::remove(file)) give_room(bytes);
  }
}

fs::path BlobStore::file(const std::string& sha256) const { return folder_ / sha256; }

fs::path BlobStore::partial(const std::string& sha256, const std::string& owner) const {
  return folder_ / (sha256 + "." + owner + std::string(kPartial));
}

void BlobStore::take_room(std::uint64_t bytes) {
  const std::uint64_t most = limits_.max_total_bytes;
  if (bytes <= most && total_bytes_.fetch_add(bytes) <= most - bytes) return;
  if (bytes <= most) give_room(bytes);
  throw std::system_error(
      ENOSPC, std::generic_category(),
      "[blobs] " + folder_.string() + " may hold " + std::to_string(most) + " bytes");
}

void BlobStore::give_room(std::uint64_t bytes) {
  std::uint64_t held = total_bytes_;
  while (!total_bytes_.compare_exchange_weak(held, held - std::min(held, bytes))) {
  }
}

}  // namespace fedstill
