#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/file_descriptor.h"
#include "model/sha256.h"
#include "transport/blob_messages.h"

namespace fedstill {

struct BlobInfo {
  std::string sha256;
  std::uint64_t bytes = 0;
  bool operator==(const BlobInfo&) const = default;
};

struct BlobLimits {
  std::uint64_t max_blob_bytes = kMaxBlobBytes;
  std::uint64_t max_total_bytes = ~std::uint64_t{0};  // of all files, what is on its way included
};

// A folder of files that are named by their SHA-256. A file of that name has that content: it got
// the name only after the hash was checked and the bytes were on disk. What is still on its way is
// `<sha256>.<owner>.part`, one per owner, which only ever grows; so a transfer goes on where it
// was, and nobody spoils another's. One process at a time; several threads, if no two write or
// remove the same file at once.
class BlobStore {
 public:
  // Creates the folder. Throws std::system_error.
  explicit BlobStore(std::filesystem::path folder, const BlobLimits& limits = {});

  bool has(const std::string& sha256) const;
  std::filesystem::path path(const std::string& sha256) const;  // std::invalid_argument if absent
  BlobInfo info(const std::string& sha256) const;               // std::invalid_argument if absent
  std::vector<BlobInfo> list() const;                           // by hash
  std::uint64_t total_bytes() const { return total_bytes_; }
  const BlobLimits& limits() const { return limits_; }

  // Durable when they return; the same content again costs nothing. Throw std::system_error, with
  // ENOSPC also where the limit of all bytes is reached.
  BlobInfo add(std::span<const std::byte> bytes);
  BlobInfo add_file(const std::filesystem::path& file);  // copied, never whole in memory

  void remove(const std::string& sha256);         // absent is fine
  void remove_partial(const std::string& owner);  // whatever this owner was sending
  void remove_partials();

 private:
  friend class BlobWriter;
  std::filesystem::path file(const std::string& sha256) const;
  std::filesystem::path partial(const std::string& sha256, const std::string& owner) const;
  template <typename Condition>
  void remove_where(const Condition& condition);
  void take_room(std::uint64_t bytes);  // throws std::system_error(ENOSPC)
  void give_room(std::uint64_t bytes);

  std::filesystem::path folder_;
  BlobLimits limits_;
  std::atomic<std::uint64_t> total_bytes_ = 0;
};

// One blob on its way into a store, from an owner (a name; see is_name()) who may lie about it.
class BlobWriter {
 public:
  enum class State {
    kOpen,      // more is wanted, from offset() on
    kComplete,  // the hash was right; the store has it
    kDamaged    // the hash was wrong; everything is thrown away
  };

  // Goes on where this owner's file ends, after hashing what is there; a file of another blob of
  // the same owner is removed. Throws std::invalid_argument for a blob over the store's limit or
  // bad names, std::system_error. Requires: the store outlives it.
  BlobWriter(BlobStore& store, BlobInfo blob, const std::string& owner);

  // The next bytes. What was written before is ignored. Throws DecodeError for a gap or for bytes
  // past the end, std::system_error with what was written before intact: a new writer goes on (from
  // the first byte where all were there and could not be flushed).
  State append(std::uint64_t offset, std::span<const std::byte> bytes);

  State state() const { return state_; }
  std::uint64_t offset() const { return offset_; }
  const BlobInfo& blob() const { return blob_; }

 private:
  void resume();
  void finish();

  BlobStore& store_;
  BlobInfo blob_;
  std::filesystem::path path_;
  std::optional<FileDescriptor> file_;
  Sha256 hash_;
  std::uint64_t offset_ = 0;
  State state_ = State::kOpen;
};

}  // namespace fedstill
