#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fedstill {

// What the coordinator must not forget: who joined, what arrived, what was decided (SQLite rows),
// and the bytes themselves (content-addressed files). A process killed at any instant finds here
// either the state before an event or after it.
struct StoredUpload {
  std::uint32_t round = 0;
  std::string client, sha256;
  std::int64_t sample_count = 0;
};

class Store {
 public:
  explicit Store(
      const std::filesystem::path&
          folder);  // creates or opens; throws std::system_error or DecodeError (damaged database)
  ~Store();
  Store(Store&&) noexcept;

  void record_join(std::uint32_t round, const std::string& client, const std::string& architecture,
                   std::int64_t sample_count);
  // Writes the blob, then the row, in that order; the same upload again changes nothing.
  void record_upload(const StoredUpload& upload, std::span<const std::byte> bytes);
  void record_decision(std::uint32_t round, const std::string& what, const std::string& details);

  std::vector<StoredUpload> uploads(std::uint32_t round) const;  // by client name
  std::filesystem::path blob(const std::string& sha256)
      const;  // path of a stored blob; throws std::invalid_argument if absent or not a hash

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace fedstill
