#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// What the coordinator must not forget: who joined, what arrived, what was decided (SQLite rows),
// and the bytes themselves (content-addressed files in blobs/). A process killed at any instant
// finds here either the state before an event or after it: the blob is durable before its row, and
// a blob without a row is harmless.
struct StoredJoin {
  std::uint32_t round = 0;
  std::string client, architecture;
  std::int64_t sample_count = 0;
  bool operator==(const StoredJoin&) const = default;
};
struct StoredUpload {
  std::uint32_t round = 0;
  std::string client, sha256;
  std::int64_t sample_count = 0;
  bool operator==(const StoredUpload&) const = default;
};
struct StoredDecision {
  std::string what, details;
  bool operator==(const StoredDecision&) const = default;
};

// One thread, one process at a time: a second process is refused with std::system_error. Every
// record_ function returns when the event is on disk, and throws std::system_error (full disk, no
// permission) with nothing half-written, or DecodeError where the database turns out damaged.
class Store {
 public:
  // Creates or opens, and checks the database. Throws std::system_error, or DecodeError: damaged,
  // or written by another version.
  explicit Store(const std::filesystem::path& folder);
  ~Store();
  Store(Store&&) noexcept;

  // The same join again changes nothing; another of the same client and round throws
  // std::invalid_argument. So with uploads.
  void record_join(std::uint32_t round, const std::string& client, const std::string& architecture,
                   std::int64_t sample_count);
  // Also throws std::invalid_argument if sha256 is not the hash of the bytes.
  void record_upload(const StoredUpload& upload, std::span<const std::byte> bytes);
  void record_decision(std::uint32_t round, const std::string& what, const std::string& details);

  std::vector<StoredJoin> joins(std::uint32_t round) const;          // by client name
  std::vector<StoredUpload> uploads(std::uint32_t round) const;      // by client name
  std::vector<StoredDecision> decisions(std::uint32_t round) const;  // as they were made

  // Path of a stored blob. Throws std::invalid_argument if it is absent or not a hash, DecodeError
  // if the file no longer has that hash.
  std::filesystem::path blob(const std::string& sha256) const;

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace fedstill
