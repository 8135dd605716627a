#include "coordinator/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>
#include <sqlite3.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "transport/message.h"

namespace fedstill {
namespace {

constexpr int kSchemaVersion = 1;

// Persisted: a change needs a new version and a migration.
constexpr const char* kSchema = R"(
  CREATE TABLE joins (round INTEGER NOT NULL, client TEXT NOT NULL, architecture TEXT NOT NULL,
    sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
  CREATE TABLE uploads (round INTEGER NOT NULL, client TEXT NOT NULL, sha256 TEXT NOT NULL,
    sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
  CREATE TABLE decisions (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, what TEXT NOT NULL,
    details TEXT NOT NULL);
  PRAGMA user_version = 1;
)";

int error_number(int code) {
  switch (code) {
    case SQLITE_FULL:
      return ENOSPC;
    case SQLITE_READONLY:
      return EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return EBUSY;
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return EACCES;
    case SQLITE_NOMEM:
      return ENOMEM;
    default:
      return EIO;
  }
}

// The one place where SQLite's errors become ours.
[[noreturn]] void rethrow(const std::filesystem::path& path, const SQLite::Exception& error) {
  const std::string message = "[store] " + path.string() + ": " + error.what();
  const int code = error.getErrorCode() & 0xFF;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) throw DecodeError(message);
  throw std::system_error(error_number(code), std::generic_category(), message);
}

template <typename Work>
auto checked(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const SQLite::Exception& error) {
    rethrow(path, error);
  }
}

std::filesystem::path make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder / "blobs", error);
  if (error) throw std::system_error(error, "[store] " + (folder / "blobs").string());
  return folder;
}

// What a killed process was writing: a blob's name is its hash and nothing more.
void remove_leftovers(const std::filesystem::path& blobs) {
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(blobs)) {
    if (!is_sha256(entry.path().filename().string())) leftovers.push_back(entry.path());
  }
  for (const auto& path : leftovers) std::filesystem::remove_all(path);
}

StoredJoin join_of(SQLite::Statement& row) {
  return {row.getColumn(0).getUInt(), row.getColumn(1).getString(), row.getColumn(2).getString(),
          row.getColumn(3).getInt64()};
}

StoredUpload upload_of(SQLite::Statement& row) {
  return {row.getColumn(0).getUInt(), row.getColumn(1).getString(), row.getColumn(2).getString(),
          row.getColumn(3).getInt64()};
}

bool has_hash(const std::filesystem::path& path, const std::string& sha256) {
  return std::filesystem::is_regular_file(path) && sha256_hex_of_file(path) == sha256;
}

}  // namespace

struct Store::Database {
  explicit Database(const std::filesystem::path& at)
      : folder(make_folders(at)), path(folder / "coordinator.sqlite"), connection(open(path)) {
    checked(path, [&] { set_up(); });
    remove_leftovers(folder / "blobs");  // only now is nobody else here
  }

  std::filesystem::path folder, path;
  SQLite::Database connection;

  std::filesystem::path blob_path(const std::string& sha256) const {
    return folder / "blobs" / sha256;
  }

  // One event, one transaction.
  template <typename... Values>
  void insert(const char* sql, const Values&... values) {
    checked(path, [&] {
      SQLite::Transaction transaction(connection);
      SQLite::Statement statement(connection, sql);
      SQLite::bind(statement, values...);
      statement.exec();
      transaction.commit();
    });
  }

  template <typename Make, typename... Values>
  auto select(const char* sql, const Make& make, const Values&... values) const {
    return checked(path, [&] {
      SQLite::Statement statement(connection, sql);
      SQLite::bind(statement, values...);
      std::vector<decltype(make(statement))> found;
      while (statement.executeStep()) found.push_back(make(statement));
      return found;
    });
  }

 private:
  static SQLite::Database open(const std::filesystem::path& path) {
    return checked(path, [&] {
      return SQLite::Database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    });
  }

  void set_up() {
    // Exclusive before the first access: a second coordinator on this folder fails at once, and the
    // write-ahead log needs no shared memory.
    connection.exec("PRAGMA locking_mode = EXCLUSIVE");
    connection.exec("PRAGMA journal_mode = WAL");
    connection.exec("PRAGMA synchronous = FULL");
    SQLite::Transaction transaction(connection, SQLite::TransactionBehavior::IMMEDIATE);
    const int version = connection.execAndGet("PRAGMA user_version").getInt();
    if (version == 0) connection.exec(kSchema);
    transaction.commit();
    if (version != 0 && version != kSchemaVersion) {
      throw DecodeError("[store] " + path.string() + ": schema version " + std::to_string(version) +
                        ", expected " + std::to_string(kSchemaVersion));
    }
    const std::string found = connection.execAndGet("PRAGMA integrity_check(1)").getString();
    if (found != "ok") throw DecodeError("[store] " + path.string() + ": " + found);
  }
};

Store::Store(const std::filesystem::path& folder) : database_(std::make_unique<Database>(folder)) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;

void Store::record_join(std::uint32_t round, const std::string& client,
                        const std::string& architecture, std::int64_t sample_count) {
  const StoredJoin join{round, client, architecture, sample_count};
  const auto known = database_->select(
      "SELECT round, client, architecture, sample_count FROM joins WHERE round = ? AND client = ?",
      join_of, round, client);
  if (!known.empty()) {
    if (known.front() == join) return;
    throw std::invalid_argument("[store] client " + client + " joined round " +
                                std::to_string(round) + " differently before");
  }
  database_->insert("INSERT INTO joins VALUES (?, ?, ?, ?)", round, client, architecture,
                    sample_count);
}

void Store::record_upload(const StoredUpload& upload, std::span<const std::byte> bytes) {
  if (sha256_hex(bytes) != upload.sha256) {
    throw std::invalid_argument("[store] upload of " + upload.client +
                                ": the bytes do not have the hash " + upload.sha256);
  }
  const auto known = database_->select(
      "SELECT round, client, sha256, sample_count FROM uploads WHERE round = ? AND client = ?",
      upload_of, upload.round, upload.client);
  if (!known.empty() && known.front() != upload) {
    throw std::invalid_argument("[store] client " + upload.client + " uploaded to round " +
                                std::to_string(upload.round) + " differently before");
  }
  // The blob is durable before the row that names it; a damaged one is replaced.
  if (const auto path = database_->blob_path(upload.sha256); !has_hash(path, upload.sha256)) {
    write_file_atomically(path, bytes);
  }
  if (!known.empty()) return;
  database_->insert("INSERT INTO uploads VALUES (?, ?, ?, ?)", upload.round, upload.client,
                    upload.sha256, upload.sample_count);
}

void Store::record_decision(std::uint32_t round, const std::string& what,
                            const std::string& details) {
  database_->insert("INSERT INTO decisions (round, what, details) VALUES (?, ?, ?)", round, what,
                    details);
}

std::vector<StoredJoin> Store::joins(std::uint32_t round) const {
  return database_->select(
      "SELECT round, client, architecture, sample_count FROM joins WHERE round = ? ORDER BY client",
      join_of, round);
}

std::vector<StoredUpload> Store::uploads(std::uint32_t round) const {
  return database_->select(
      "SELECT round, client, sha256, sample_count FROM uploads WHERE round = ? ORDER BY client",
      upload_of, round);
}

std::vector<StoredDecision> Store::decisions(std::uint32_t round) const {
  const auto decision_of = [](SQLite::Statement& row) {
    return StoredDecision{row.getColumn(0).getString(), row.getColumn(1).getString()};
  };
  return database_->select("SELECT what, details FROM decisions WHERE round = ? ORDER BY id",
                           decision_of, round);
}

std::filesystem::path Store::blob(const std::string& sha256) const {
  if (!is_sha256(sha256)) {
    throw std::invalid_argument("[store] blob '" + to_free_text(sha256, 64) +
                                "', expected 64 lower-case hex digits");
  }
  std::filesystem::path path = database_->blob_path(sha256);
  if (!std::filesystem::is_regular_file(path)) {
    throw std::invalid_argument("[store] no blob " + path.string());
  }
  if (!has_hash(path, sha256)) {
    throw DecodeError("[store] " + path.string() + ": the content no longer has this hash");
  }
  return path;
}

}  // namespace fedstill
