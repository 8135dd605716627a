#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/decode_error.h"
#include "transport/blob_store.h"
#include "transport/round_messages.h"

namespace fedstill {

// What the coordinator must not forget: who joined, what arrived, what was decided (SQLite rows),
// and the bytes themselves (blobs/). A process killed at any instant finds here either the state
// before an event or after it: the blob is durable before its row, and a blob without a row is
// harmless.
struct StoredJoin {
  std::uint32_t round = 0;  // the first it takes part in
  std::string client, architecture;
  std::int64_t sample_count = 0;
  Participation mode = Participation::kModel;
  bool operator==(const StoredJoin&) const = default;
};
struct StoredUpload {
  std::uint32_t round = 0;
  std::string client, sha256;
  std::int64_t sample_count = 0;
  Participation mode = Participation::kModel;
  bool operator==(const StoredUpload&) const = default;
};
struct StoredDecision {
  std::string what, details;
  bool operator==(const StoredDecision&) const = default;
};
struct StoredExclusion {
  std::string client, reason;
  bool operator==(const StoredExclusion&) const = default;
};
struct StoredResult {
  std::uint32_t round = 0;
  BlobInfo bundle;
  BlobInfo student;  // or nothing
  bool operator==(const StoredResult&) const = default;
};

// The database turned out damaged while it was in use; only a backup mends that.
class StoreDamaged : public DecodeError {
 public:
  using DecodeError::DecodeError;
};

// One process at a time: a second one is refused with std::system_error. One thread, but for
// blobs(), blob() and keep_only(). Every record_ function returns when the event is on disk, and
// throws std::system_error (full disk, no permission) with nothing half-written. Whatever meets
// damage in the database throws StoreDamaged. The same event again changes nothing; a contradicting
// one throws std::invalid_argument.
class Store {
 public:
  // Creates or opens, migrates an older schema, and checks the database. Throws std::system_error,
  // or DecodeError: damaged, or written by a newer version.
  explicit Store(const std::filesystem::path& folder, const BlobLimits& limits = {});
  ~Store();
  Store(Store&&) noexcept;

  void record_job(const std::string& hash);
  void record_join(const StoredJoin& join);
  void replace_join(const StoredJoin& join);  // of its round. Requires: no upload of the client
  void record_upload(const StoredUpload& upload);  // Requires: blobs() has it
  void forget_upload(std::uint32_t round, const std::string& client, const std::string& why);
  void record_decision(std::uint32_t round, const std::string& what, const std::string& details);
  // If so wanted, the client's upload of the round goes in the same transaction.
  void record_exclusion(const StoredExclusion& exclusion, std::uint32_t round, bool forget_upload);
  void record_readmission(const std::string& client, std::uint32_t round);
  void record_result(const StoredResult& result);  // Requires: blobs() has both
  void record_delivery(std::uint32_t round, const std::string& client);  // it has the bundle
  // How long a round has been collecting; the newest counts.
  void record_open_time(std::uint32_t round, std::chrono::milliseconds open_for);
  void record_reopening(std::uint32_t round);  // a decision, and its time begins anew

  std::string job() const;                                           // or empty
  std::vector<StoredJoin> joins(std::uint32_t round) const;          // up to it, by client name
  std::vector<StoredUpload> uploads(std::uint32_t round) const;      // by client name
  bool has_uploads(const std::string& client) const;                 // in any round
  std::vector<StoredDecision> decisions(std::uint32_t round) const;  // as they were made
  std::vector<StoredExclusion> exclusions() const;                   // by client name
  std::vector<StoredResult> results() const;                         // by round
  std::vector<std::string> deliveries(std::uint32_t round) const;    // by client name
  std::chrono::milliseconds open_time(std::uint32_t round) const;    // 0 where none was recorded

  BlobStore& blobs();
  // Path of a stored blob. Throws std::invalid_argument if it is absent or not a hash, DecodeError
  // if the file no longer has that hash.
  std::filesystem::path blob(const std::string& sha256) const;
  // Removes every other blob, and what was on its way.
  void keep_only(const std::set<std::string>& hashes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fedstill
