#include <fcntl.h>

#include <algorithm>
#include <future>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "model/decode_error.h"
#include "transport/blob_store.h"
#include "transport/message.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWriteBytes = std::size_t{1} << 20;
constexpr std::size_t kWorthAThread = std::size_t{256} << 10;

void sync_folder_of(const fs::path& file) {
  FileDescriptor(file.parent_path(), O_RDONLY | O_DIRECTORY).sync();
}

void check(const BlobInfo& blob, const BlobLimits& limits) {
  if (!is_sha256(blob.sha256) || blob.bytes < 1) {
    throw std::invalid_argument("[blob] expected a SHA-256 and at least one byte");
  }
  if (blob.bytes > limits.max_blob_bytes) {
    throw std::invalid_argument("[blob] " + std::to_string(blob.bytes) +
                                " bytes, expected at most " +
                                std::to_string(limits.max_blob_bytes));
  }
}

// The hash takes longer than the file does, so the two run side by side.
void write_and_hash(FileDescriptor& file, Sha256& hash, std::span<const std::byte> bytes) {
  const auto policy = bytes.size() < kWorthAThread ? std::launch::deferred
                                                   : std::launch::async | std::launch::deferred;
  auto writing = std::async(policy, [&] { file.write(bytes); });
  hash.update(bytes);
  writing.get();
}

}  // namespace

BlobWriter::BlobWriter(BlobStore& store, BlobInfo blob, const std::string& owner)
    : store_(store), blob_(std::move(blob)) {
  check(blob_, store.limits());
  path_ = store.partial(blob_.sha256, owner);
  if (store.has(blob_.sha256)) {
    offset_ = blob_.bytes;
    state_ = State::kComplete;
    return;
  }
  const bool goes_on = fs::is_regular_file(path_) && fs::file_size(path_) <= blob_.bytes;
  if (!goes_on) store.remove_partial(owner);
  file_.emplace(path_, O_WRONLY | O_CREAT | O_APPEND);
  if (goes_on) resume();
}

BlobWriter::State BlobWriter::append(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > offset_ || bytes.size() > blob_.bytes - std::min(offset, blob_.bytes)) {
    throw DecodeError("[blob] chunk of " + std::to_string(bytes.size()) + " bytes at " +
                      std::to_string(offset) + ", expected " + std::to_string(offset_) + " of " +
                      std::to_string(blob_.bytes));
  }
  const std::uint64_t known = std::min<std::uint64_t>(offset_ - offset, bytes.size());
  const auto fresh = bytes.subspan(static_cast<std::size_t>(known));
  if (state_ != State::kOpen || fresh.empty()) return state_;
  if (!file_) throw std::logic_error("[blob] a writer that failed was used again");
  store_.take_room(fresh.size());
  try {
    write_and_hash(*file_, hash_, fresh);
  } catch (...) {
    // Some of it may be there, and stays: whoever goes on hashes what the file holds.
    file_.reset();
    std::error_code unknown;
    const std::uint64_t held = fs::file_size(path_, unknown);
    store_.give_room(unknown ? 0 : fresh.size() - std::min(fresh.size(), held - offset_));
    throw;
  }
  offset_ += fresh.size();
  if (offset_ == blob_.bytes) finish();
  return state_;
}

void BlobWriter::resume() {
  FileDescriptor file(path_, O_RDONLY);
  std::vector<std::byte> piece(kWriteBytes);
  while (const std::size_t count = file.read_at(offset_, piece)) {
    hash_.update(std::span(piece).first(count));
    offset_ += count;
  }
  if (offset_ == blob_.bytes) finish();
}

void BlobWriter::finish() {
  if (hash_.hex() != blob_.sha256) {
    file_.reset();
    fs::remove(path_);
    store_.give_room(blob_.bytes);
    state_ = State::kDamaged;
    return;
  }
  try {
    file_->sync();
  } catch (const std::system_error&) {
    // What could not be written down reads as if it had been, from now on.
    file_.reset();
    std::error_code unknown;
    if (fs::remove(path_, unknown)) store_.give_room(blob_.bytes);
    throw;
  }
  file_->close();
  const fs::path kept = store_.file(blob_.sha256);
  if (fs::exists(kept)) store_.give_room(blob_.bytes);  // it came from somebody else meanwhile
  fs::rename(path_, kept);
  sync_folder_of(kept);
  state_ = State::kComplete;
}

}  // namespace fedstill
