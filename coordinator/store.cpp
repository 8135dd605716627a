#include "coordinator/store.h"

#include <stdexcept>
#include <system_error>

#include "coordinator/database.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "transport/message.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

fs::path make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw std::system_error(error, "[store] " + folder.string());
  return folder;
}

// What a killed process was writing at once: neither a blob nor a part that grows.
void remove_leftovers(const fs::path& blobs) {
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(blobs)) {
    const std::string name = entry.path().filename().string();
    if (!is_sha256(name) && !name.ends_with(".part")) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) fs::remove_all(path);
}

Participation mode_of(const SQLite::Column& column) {
  const int mode = column.getInt();
  if (mode == 1 || mode == 2) return static_cast<Participation>(mode);
  throw StoreDamaged("[store] mode: found " + std::to_string(mode) + ", expected 1 or 2");
}

StoredJoin join_of(SQLite::Statement& row) {
  return {row.getColumn(0).getUInt(), row.getColumn(1).getString(), row.getColumn(2).getString(),
          row.getColumn(3).getInt64(), mode_of(row.getColumn(4))};
}

StoredUpload upload_of(SQLite::Statement& row) {
  return {row.getColumn(0).getUInt(), row.getColumn(1).getString(), row.getColumn(2).getString(),
          row.getColumn(3).getInt64(), mode_of(row.getColumn(4))};
}

BlobInfo blob_of(SQLite::Statement& row, int column) {
  return {row.getColumn(column).getString(),
          static_cast<std::uint64_t>(row.getColumn(column + 1).getInt64())};
}

StoredResult result_of(SQLite::Statement& row) {
  return {row.getColumn(0).getUInt(), blob_of(row, 1), blob_of(row, 3)};
}

std::string text_of(SQLite::Statement& row) { return row.getColumn(0).getString(); }

[[noreturn]] void contradict(const std::string& what) {
  throw std::invalid_argument("[store] " + what + " differently before");
}

// Whether the event was recorded already; throws where another one stands in its place.
template <typename Row>
bool is_known(const std::vector<Row>& known, const Row& row, const std::string& what) {
  if (known.empty()) return false;
  if (known.front() != row) contradict(what);
  return true;
}

constexpr const char* kJoin = "INSERT OR REPLACE INTO joins VALUES (?, ?, ?, ?, ?)";
constexpr const char* kDecision = "INSERT INTO decisions (round, what, details) VALUES (?, ?, ?)";
constexpr const char* kOpenTime = "INSERT OR REPLACE INTO open_times VALUES (?, ?)";
constexpr const char* kForget = "DELETE FROM uploads WHERE round = ? AND client = ?";

}  // namespace

// The lock on the database comes before anything is touched in the folder of blobs.
struct Store::State {
  State(const fs::path& at, const BlobLimits& limits)
      : folder(make_folder(at)),
        database(folder / "coordinator.sqlite"),
        blobs(folder / "blobs", limits) {
    remove_leftovers(folder / "blobs");
  }

  void require(const BlobInfo& blob) const {
    if (blobs.info(blob.sha256) != blob) contradict("blob " + blob.sha256 + " was stored");
  }

  fs::path folder;
  Database database;
  BlobStore blobs;
};

Store::Store(const fs::path& folder, const BlobLimits& limits)
    : state_(std::make_unique<State>(folder, limits)) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;

void Store::record_job(const std::string& hash) {
  const std::string known = job();
  if (known == hash) return;
  if (!known.empty()) contradict("job " + known + " was begun");
  state_->database.insert("INSERT INTO job VALUES (1, ?)", hash);
}

void Store::record_join(const StoredJoin& join) {
  const auto known = state_->database.select(
      "SELECT round, client, architecture, sample_count, mode FROM joins WHERE client = ?", join_of,
      join.client);
  if (is_known(known, join, "client " + join.client + " joined")) return;
  replace_join(join);
}

void Store::replace_join(const StoredJoin& join) {
  state_->database.insert(kJoin, join.round, join.client, join.architecture, join.sample_count,
                          static_cast<int>(join.mode));
}

void Store::record_upload(const StoredUpload& upload) {
  const auto known = state_->database.select(
      "SELECT round, client, sha256, sample_count, mode FROM uploads WHERE round = ? AND client = "
      "?",
      upload_of, upload.round, upload.client);
  if (is_known(known, upload, "client " + upload.client + " uploaded")) return;
  state_->blobs.info(upload.sha256);  // the blob is durable before the row that names it
  state_->database.insert("INSERT INTO uploads VALUES (?, ?, ?, ?, ?)", upload.round, upload.client,
                          upload.sha256, upload.sample_count, static_cast<int>(upload.mode));
}

void Store::forget_upload(std::uint32_t round, const std::string& client, const std::string& why) {
  state_->database.transact([&] {
    state_->database.run(kForget, round, client);
    state_->database.run(kDecision, round, "lost", client + ": " + why);
  });
}

void Store::record_decision(std::uint32_t round, const std::string& what,
                            const std::string& details) {
  state_->database.insert(kDecision, round, what, details);
}

void Store::record_exclusion(const StoredExclusion& exclusion, std::uint32_t round,
                             bool forget_upload) {
  state_->database.transact([&] {
    state_->database.run("INSERT OR REPLACE INTO exclusions VALUES (?, ?)", exclusion.client,
                         exclusion.reason);
    if (forget_upload) state_->database.run(kForget, round, exclusion.client);
    state_->database.run(kDecision, round, "excluded", exclusion.client + ": " + exclusion.reason);
  });
}

void Store::record_readmission(const std::string& client, std::uint32_t round) {
  state_->database.transact([&] {
    state_->database.run("DELETE FROM exclusions WHERE client = ?", client);
    state_->database.run(kDecision, round, "readmitted", client);
  });
}

void Store::record_result(const StoredResult& result) {
  const auto known =
      state_->database.select("SELECT * FROM results WHERE round = ?", result_of, result.round);
  if (is_known(known, result, "round " + std::to_string(result.round) + " ended")) return;
  state_->require(result.bundle);
  if (!result.student.sha256.empty()) state_->require(result.student);
  state_->database.transact([&] {
    state_->database.run("INSERT INTO results VALUES (?, ?, ?, ?, ?)", result.round,
                         result.bundle.sha256, static_cast<std::int64_t>(result.bundle.bytes),
                         result.student.sha256, static_cast<std::int64_t>(result.student.bytes));
    state_->database.run(kDecision, result.round, "published", result.bundle.sha256);
  });
}

void Store::record_delivery(std::uint32_t round, const std::string& client) {
  state_->database.insert("INSERT OR IGNORE INTO deliveries VALUES (?, ?)", round, client);
}

void Store::record_open_time(std::uint32_t round, std::chrono::milliseconds open_for) {
  state_->database.insert(kOpenTime, round, static_cast<std::int64_t>(open_for.count()));
}

void Store::record_reopening(std::uint32_t round) {
  state_->database.transact([&] {
    state_->database.run(kDecision, round, "reopened", "");
    state_->database.run(kOpenTime, round, 0);
  });
}

std::string Store::job() const {
  const auto found = state_->database.select("SELECT hash FROM job", text_of);
  return found.empty() ? "" : found.front();
}

std::vector<StoredJoin> Store::joins(std::uint32_t round) const {
  return state_->database.select(
      "SELECT round, client, architecture, sample_count, mode FROM joins WHERE round <= ? ORDER BY "
      "client",
      join_of, round);
}

std::vector<StoredUpload> Store::uploads(std::uint32_t round) const {
  return state_->database.select(
      "SELECT round, client, sha256, sample_count, mode FROM uploads WHERE round = ? ORDER BY "
      "client",
      upload_of, round);
}

bool Store::has_uploads(const std::string& client) const {
  return !state_->database
              .select("SELECT client FROM uploads WHERE client = ? LIMIT 1", text_of, client)
              .empty();
}

std::vector<StoredDecision> Store::decisions(std::uint32_t round) const {
  const auto decision_of = [](SQLite::Statement& row) {
    return StoredDecision{row.getColumn(0).getString(), row.getColumn(1).getString()};
  };
  return state_->database.select("SELECT what, details FROM decisions WHERE round = ? ORDER BY id",
                                 decision_of, round);
}

std::vector<StoredExclusion> Store::exclusions() const {
  const auto exclusion_of = [](SQLite::Statement& row) {
    return StoredExclusion{row.getColumn(0).getString(), row.getColumn(1).getString()};
  };
  return state_->database.select("SELECT client, reason FROM exclusions ORDER BY client",
                                 exclusion_of);
}

std::vector<StoredResult> Store::results() const {
  return state_->database.select("SELECT * FROM results ORDER BY round", result_of);
}

std::vector<std::string> Store::deliveries(std::uint32_t round) const {
  return state_->database.select("SELECT client FROM deliveries WHERE round = ? ORDER BY client",
                                 text_of, round);
}

std::chrono::milliseconds Store::open_time(std::uint32_t round) const {
  const auto time_of = [](SQLite::Statement& row) {
    return std::chrono::milliseconds(row.getColumn(0).getInt64());
  };
  const auto found = state_->database.select(
      "SELECT open_milliseconds FROM open_times WHERE round = ?", time_of, round);
  return found.empty() ? std::chrono::milliseconds{0} : found.front();
}

BlobStore& Store::blobs() { return state_->blobs; }

fs::path Store::blob(const std::string& sha256) const {
  fs::path path = state_->blobs.path(sha256);
  if (sha256_hex_of_file(path) == sha256) return path;
  throw DecodeError("[store] " + path.string() + ": the content no longer has this hash");
}

void Store::keep_only(const std::set<std::string>& hashes) {
  for (const BlobInfo& blob : state_->blobs.list()) {
    if (!hashes.contains(blob.sha256)) state_->blobs.remove(blob.sha256);
  }
  state_->blobs.remove_partials();
}

}  // namespace fedstill
