#include "coordinator/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "coordinator/store.h"
#include "model/decode_error.h"

namespace fedstill {
namespace {

constexpr int kSchemaVersion = 4;

// Persisted: a change needs a new version and a migration.
constexpr const char* kFirstSchema = R"(
  CREATE TABLE joins (round INTEGER NOT NULL, client TEXT NOT NULL, architecture TEXT NOT NULL,
    sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
  CREATE TABLE uploads (round INTEGER NOT NULL, client TEXT NOT NULL, sha256 TEXT NOT NULL,
    sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
  CREATE TABLE decisions (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, what TEXT NOT NULL,
    details TEXT NOT NULL);
)";

// Modes of taking part, many rounds, exclusions.
constexpr const char* kSecondSchema = R"(
  ALTER TABLE joins ADD COLUMN mode INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE uploads ADD COLUMN mode INTEGER NOT NULL DEFAULT 1;
  CREATE TABLE exclusions (client TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE results (round INTEGER PRIMARY KEY, bundle TEXT NOT NULL,
    bundle_bytes INTEGER NOT NULL, student TEXT NOT NULL, student_bytes INTEGER NOT NULL);
  CREATE TABLE job (only INTEGER PRIMARY KEY CHECK (only = 1), hash TEXT NOT NULL);
  PRAGMA user_version = 2;
)";

// How long a round was open, over restarts.
constexpr const char* kThirdSchema = R"(
  CREATE TABLE open_times (round INTEGER PRIMARY KEY, open_milliseconds INTEGER NOT NULL
    CHECK (open_milliseconds >= 0));
  PRAGMA user_version = 3;
)";

// Who has a round's bundle: they do not come again.
constexpr const char* kFourthSchema = R"(
  CREATE TABLE deliveries (round INTEGER NOT NULL, client TEXT NOT NULL,
    PRIMARY KEY (round, client)) WITHOUT ROWID;
  PRAGMA user_version = 4;
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

}  // namespace

Database::Database(const std::filesystem::path& path) : path_(path), connection_(open(path)) {
  checked([&] { set_up(); });
}

// The one place where SQLite's errors become ours.
void Database::rethrow(const std::filesystem::path& path, const SQLite::Exception& error) {
  const std::string message = "[store] " + path.string() + ": " + error.what();
  const int code = error.getErrorCode() & 0xFF;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) throw StoreDamaged(message);
  throw std::system_error(error_number(code), std::generic_category(), message);
}

SQLite::Database Database::open(const std::filesystem::path& path) {
  try {
    return SQLite::Database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  } catch (const SQLite::Exception& error) {
    rethrow(path, error);
  }
}

void Database::set_up() {
  // Exclusive before the first access: a second coordinator on this folder fails at once, and the
  // write-ahead log needs no shared memory.
  connection_.exec("PRAGMA locking_mode = EXCLUSIVE");
  connection_.exec("PRAGMA journal_mode = WAL");
  connection_.exec("PRAGMA synchronous = FULL");
  SQLite::Transaction transaction(connection_, SQLite::TransactionBehavior::IMMEDIATE);
  const int version = connection_.execAndGet("PRAGMA user_version").getInt();
  if (version < 0 || version > kSchemaVersion) {
    throw DecodeError("[store] " + path_.string() + ": schema version " + std::to_string(version) +
                      ", expected at most " + std::to_string(kSchemaVersion));
  }
  if (version < 1) connection_.exec(kFirstSchema);
  if (version < 2) connection_.exec(kSecondSchema);
  if (version < 3) connection_.exec(kThirdSchema);
  if (version < 4) connection_.exec(kFourthSchema);
  transaction.commit();
  const std::string found = connection_.execAndGet("PRAGMA integrity_check(1)").getString();
  if (found != "ok") throw DecodeError("[store] " + path_.string() + ": " + found);
}

}  // namespace fedstill
