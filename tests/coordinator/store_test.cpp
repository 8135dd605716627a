#include "coordinator/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/coordinator/fixture.h"
#include "tests/support/file_size_limit.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

StoredUpload upload_of(const std::string& client, std::span<const std::byte> bytes,
                       std::uint32_t round = 1) {
  return {round, client, sha256_hex(bytes), 100};
}

// As a coordinator does it.
void record_upload(Store& store, const StoredUpload& upload, std::span<const std::byte> bytes) {
  store.blobs().add(bytes);
  store.record_upload(upload);
}

TEST(Store, RemembersWhatWasRecorded) {
  const TemporaryFolder folder;
  const auto bytes = numbered_bytes(1);
  for (const bool reopened : {false, true}) {
    Store store(folder.path());
    if (!reopened) {
      store.record_join({1, "b", "cnn3", 100});
      store.record_join({1, "a", "lenet5", 200});
      store.record_join({2, "c", "lenet5", 300, Participation::kPredictions});
      record_upload(store, upload_of("b", bytes), bytes);
      store.record_decision(1, "closed", "1 uploads");
      store.record_decision(1, "again", "…");
      store.record_delivery(1, "b");
      store.record_delivery(1, "a");
      store.record_delivery(1, "b");  // the same again
    }
    EXPECT_EQ(store.deliveries(1), (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(store.deliveries(2).empty());
    EXPECT_EQ(store.joins(1),
              (std::vector<StoredJoin>{{1, "a", "lenet5", 200}, {1, "b", "cnn3", 100}}));
    EXPECT_EQ(store.joins(2).size(), 3U);
    EXPECT_EQ(store.joins(2).back(),
              (StoredJoin{2, "c", "lenet5", 300, Participation::kPredictions}));
    EXPECT_EQ(store.uploads(1), (std::vector<StoredUpload>{upload_of("b", bytes)}));
    EXPECT_TRUE(store.uploads(2).empty());
    EXPECT_EQ(store.decisions(1),
              (std::vector<StoredDecision>{{"closed", "1 uploads"}, {"again", "…"}}));
    const auto path = store.blob(sha256_hex(bytes));
    EXPECT_EQ(sha256_hex_of_file(path), sha256_hex(bytes));
  }
}

TEST(Store, TheSameAgainChangesNothingAndAnotherIsRefused) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1), other = numbered_bytes(2);
  for (int i = 0; i < 2; ++i) {
    store.record_join({1, "a", "cnn3", 100});
    record_upload(store, upload_of("a", bytes), bytes);
  }
  EXPECT_EQ(store.joins(1).size(), 1U);
  EXPECT_EQ(store.uploads(1).size(), 1U);
  EXPECT_THROW(store.record_join({1, "a", "cnn3", 101}), std::invalid_argument);
  EXPECT_THROW(store.record_join({2, "a", "cnn3", 100}), std::invalid_argument);
  EXPECT_THROW(record_upload(store, upload_of("a", other), other), std::invalid_argument);
  EXPECT_EQ(store.uploads(1).front(), upload_of("a", bytes));
}

TEST(Store, OneBlobServesTwoClients) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1);
  record_upload(store, upload_of("a", bytes), bytes);
  record_upload(store, upload_of("b", bytes), bytes);
  EXPECT_EQ(store.uploads(1).size(), 2U);
  EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
}

TEST(Store, AnUploadWithoutItsBlobIsRefused) {
  const TemporaryFolder folder;
  Store store(folder.path());
  EXPECT_THROW(store.record_upload(upload_of("a", numbered_bytes(1))), std::invalid_argument);
  EXPECT_TRUE(store.uploads(1).empty());
}

TEST(Store, RemembersTheJobTheResultsAndTheExcluded) {
  const TemporaryFolder folder;
  const std::string job(64, 'a');
  for (const bool reopened : {false, true}) {
    Store store(folder.path());
    const BlobInfo bundle = store.blobs().add(numbered_bytes(1));
    const BlobInfo student = store.blobs().add(numbered_bytes(2));
    if (!reopened) {
      EXPECT_EQ(store.job(), "");
      store.record_job(job);
      store.record_result({1, bundle, student});
      store.record_result({2, student, {}});
      store.record_exclusion({"b", "why"}, 1, false);
      store.record_exclusion({"a", ""}, 1, false);
      store.record_exclusion({"c", ""}, 1, false);
      store.record_readmission("c", 1);
    }
    EXPECT_EQ(store.job(), job);
    store.record_job(job);
    EXPECT_THROW(store.record_job(std::string(64, 'b')), std::invalid_argument);
    EXPECT_EQ(store.results(), (std::vector<StoredResult>{{1, bundle, student}, {2, student, {}}}));
    store.record_result({1, bundle, student});
    EXPECT_THROW(store.record_result({1, student, student}), std::invalid_argument);
    EXPECT_EQ(store.exclusions(), (std::vector<StoredExclusion>{{"a", ""}, {"b", "why"}}));
  }
}

TEST(Store, ForgettingAnUploadLeavesItsDecision) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1);
  for (const char* client : {"a", "b", "c"}) {
    record_upload(store, upload_of(client, bytes), bytes);
  }
  store.forget_upload(1, "a", "damaged");
  store.record_exclusion({"b", "liar"}, 1, true);
  store.record_exclusion({"c", "later"}, 1, false);
  ASSERT_EQ(store.uploads(1).size(), 1U);
  EXPECT_EQ(store.uploads(1).front().client, "c");
  EXPECT_EQ(store.decisions(1),
            (std::vector<StoredDecision>{
                {"lost", "a: damaged"}, {"excluded", "b: liar"}, {"excluded", "c: later"}}));
}

TEST(Store, KeepsOnlyWhatIsNamed) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const BlobInfo kept = store.blobs().add(numbered_bytes(1));
  store.blobs().add(numbered_bytes(2));
  BlobWriter(store.blobs(), {std::string(64, 'a'), 10}, "site").append(0, numbered_bytes(1, 5));
  store.keep_only({kept.sha256});
  EXPECT_EQ(store.blobs().list(), std::vector{kept});
  EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
}

// As version 0.1 wrote it.
TEST(Store, MigratesTheFirstSchema) {
  const TemporaryFolder folder;
  const auto bytes = numbered_bytes(1);
  {
    SQLite::Database old((folder.path() / "coordinator.sqlite").string(),
                         SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    old.exec(R"(
      CREATE TABLE joins (round INTEGER NOT NULL, client TEXT NOT NULL, architecture TEXT NOT NULL,
        sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
      CREATE TABLE uploads (round INTEGER NOT NULL, client TEXT NOT NULL, sha256 TEXT NOT NULL,
        sample_count INTEGER NOT NULL, PRIMARY KEY (round, client)) WITHOUT ROWID;
      CREATE TABLE decisions (id INTEGER PRIMARY KEY, round INTEGER NOT NULL, what TEXT NOT NULL,
        details TEXT NOT NULL);
      PRAGMA user_version = 1;
      INSERT INTO joins VALUES (1, 'a', 'cnn3', 100);
      INSERT INTO decisions (round, what, details) VALUES (1, 'closed', '1 uploads'))");
    old.exec("INSERT INTO uploads VALUES (1, 'a', '" + sha256_hex(bytes) + "', 100)");
  }
  for (int i = 0; i < 2; ++i) {
    Store store(folder.path());
    EXPECT_EQ(store.joins(1), (std::vector<StoredJoin>{{1, "a", "cnn3", 100}}));
    EXPECT_EQ(store.uploads(1), (std::vector<StoredUpload>{upload_of("a", bytes)}));
    EXPECT_EQ(store.decisions(1), (std::vector<StoredDecision>{{"closed", "1 uploads"}}));
    EXPECT_TRUE(store.results().empty());
    record_upload(store, upload_of("b" + std::to_string(i), bytes, 2), bytes);
  }
}

TEST(Store, ABlobIsFoundOnlyByAHash) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  EXPECT_THROW(store.blob(std::string(64, 'a')), std::invalid_argument);
  EXPECT_THROW(store.blob("../coordinator.sqlite"), std::invalid_argument);
  EXPECT_THROW(store.blob(""), std::invalid_argument);
}

TEST(Store, ADamagedBlobIsNoticed) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1);
  record_upload(store, upload_of("a", bytes), bytes);
  flip_byte(store.blob(sha256_hex(bytes)), 500);
  EXPECT_THROW(store.blob(sha256_hex(bytes)), DecodeError);
}

TEST(Store, WhatAKilledProcessWasWritingIsHarmlessAndRemoved) {
  const TemporaryFolder folder;
  const auto bytes = numbered_bytes(1);
  { const Store store(folder.path()); }
  const fs::path blobs = folder.path() / "blobs";
  // A blob whose row was not written, and one half-written.
  std::ofstream(blobs / sha256_hex(bytes), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  std::ofstream(blobs / (std::string(64, 'a') + ".tmp.1.1")) << "half";
  Store store(folder.path());
  EXPECT_TRUE(store.uploads(1).empty());
  EXPECT_EQ(files_in(blobs), 1U);
  record_upload(store, upload_of("a", bytes), bytes);
  EXPECT_NO_THROW(store.blob(sha256_hex(bytes)));
}

TEST(Store, ASecondCoordinatorOnTheFolderIsRefused) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  EXPECT_THROW(Store{folder.path()}, std::system_error);
}

void fill(const fs::path& folder) {
  Store store(folder);
  for (int i = 0; i < 40; ++i) {
    store.record_join({1, "client-" + std::to_string(i), std::string(500, 'x'), i});
  }
}

TEST(Store, ADamagedDatabaseIsRefused) {
  const TemporaryFolder folder;
  fill(folder.path() / "original");
  const fs::path original = folder.path() / "original" / "coordinator.sqlite";
  const auto size = static_cast<std::streamoff>(fs::file_size(original));
  ASSERT_GT(size, 4096 * 3);
  const auto expect_refused = [&](const std::string& what, const auto& damage) {
    const fs::path copy = folder.path() / what;
    fs::create_directories(copy);
    fs::copy_file(original, copy / "coordinator.sqlite");
    damage(copy / "coordinator.sqlite");
    EXPECT_THROW(Store{copy}, DecodeError) << what;
  };
  expect_refused("magic", [](const fs::path& path) { flip_byte(path, 0); });
  expect_refused("schema", [](const fs::path& path) { flip_byte(path, 100); });
  expect_refused("page", [](const fs::path& path) { flip_byte(path, 4096); });
  expect_refused("cut", [&](const fs::path& path) { fs::resize_file(path, 4096 * 2 + 100); });
  expect_refused("text", [](const fs::path& path) {
    std::ofstream(path, std::ios::trunc) << std::string(5000, 'x');
  });
}

TEST(Store, AnotherSchemaVersionIsRefused) {
  const TemporaryFolder folder;
  { const Store store(folder.path()); }
  // user_version is the big-endian integer at offset 60 of the file's header.
  flip_byte(folder.path() / "coordinator.sqlite", 63);
  EXPECT_THROW(Store{folder.path()}, DecodeError);
}

// What a power cut leaves of the last write: the log ends anywhere, or in bytes that were never
// written. Every event that was whole before is there, the torn one is not, and it goes on.
TEST(Store, ATornLastWriteCostsNothingThatWasRecorded) {
  const TemporaryFolder folder;
  const fs::path live = folder.path() / "live", log = live / "coordinator.sqlite-wal";
  std::vector<std::uintmax_t> ends;  // of the log, after each event
  Store store(live);
  for (int i = 0; i < 5; ++i) {
    store.record_join({1, "client-" + std::to_string(i), "cnn3", i + 1});
    ends.push_back(fs::file_size(log));
  }
  for (std::uintmax_t cut = ends.front() - 5000; cut <= ends.back(); cut += 499) {
    for (const bool garbage : {false, true}) {
      const fs::path copy = folder.path() / "copy";
      fs::remove_all(copy);
      fs::copy(live, copy, fs::copy_options::recursive);
      fs::resize_file(copy / log.filename(), cut);
      if (garbage) std::ofstream(copy / log.filename(), std::ios::app) << std::string(3000, 'x');
      const auto whole = std::ranges::count_if(ends, [&](auto end) { return end <= cut; });
      Store torn(copy);
      EXPECT_EQ(static_cast<std::ptrdiff_t>(torn.joins(1).size()), whole) << cut << garbage;
      torn.record_join({1, "later", "cnn3", 1});
    }
  }
}

// Mode bits do not bind root, so the folder is made impossible instead.
TEST(Store, AnUnwritableFolderIsASystemError) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(Store{folder.path() / "file"}, std::system_error);
  EXPECT_THROW(Store{folder.path() / "file" / "below"}, std::system_error);
  EXPECT_THROW(Store{"/proc/fedstill-store"}, std::system_error);
  fs::create_directories(folder.path() / "taken" / "coordinator.sqlite");
  EXPECT_THROW(Store{folder.path() / "taken"}, std::system_error);
}

TEST(Store, AFullDiskLeavesNothingHalfWritten) {
  const TemporaryFolder folder;
  const auto small = numbered_bytes(1), large = numbered_bytes(2, 1 << 20);
  {
    Store store(folder.path());
    record_upload(store, upload_of("a", small), small);
    {
      const FileSizeLimit limit(100'000);
      EXPECT_THROW(record_upload(store, upload_of("b", large), large), std::system_error);
    }
    EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
    {
      const FileSizeLimit limit(2000);  // the blob fits, the database's log does not grow
      EXPECT_THROW(record_upload(store, upload_of("c", numbered_bytes(3)), numbered_bytes(3)),
                   std::system_error);
      EXPECT_THROW(store.record_join({1, "c", "cnn3", 1}), std::system_error);
    }
    EXPECT_EQ(store.uploads(1).size(), 1U);
    record_upload(store, upload_of("b", large), large);  // there is room again
  }
  const Store store(folder.path());
  EXPECT_EQ(store.uploads(1).size(), 2U);
  EXPECT_TRUE(store.joins(1).empty());
}

}  // namespace
}  // namespace fedstill
