#include "coordinator/store.h"

#include <gtest/gtest.h>

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

TEST(Store, RemembersWhatWasRecorded) {
  const TemporaryFolder folder;
  const auto bytes = numbered_bytes(1);
  for (const bool reopened : {false, true}) {
    Store store(folder.path());
    if (!reopened) {
      store.record_join(1, "b", "cnn3", 100);
      store.record_join(1, "a", "lenet5", 200);
      store.record_join(2, "a", "lenet5", 300);
      store.record_upload(upload_of("b", bytes), bytes);
      store.record_decision(1, "closed", "1 uploads");
      store.record_decision(1, "again", "…");
    }
    EXPECT_EQ(store.joins(1),
              (std::vector<StoredJoin>{{1, "a", "lenet5", 200}, {1, "b", "cnn3", 100}}));
    EXPECT_EQ(store.joins(2), (std::vector<StoredJoin>{{2, "a", "lenet5", 300}}));
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
    store.record_join(1, "a", "cnn3", 100);
    store.record_upload(upload_of("a", bytes), bytes);
  }
  EXPECT_EQ(store.joins(1).size(), 1U);
  EXPECT_EQ(store.uploads(1).size(), 1U);
  EXPECT_THROW(store.record_join(1, "a", "cnn3", 101), std::invalid_argument);
  EXPECT_THROW(store.record_upload(upload_of("a", other), other), std::invalid_argument);
  EXPECT_EQ(store.uploads(1).front(), upload_of("a", bytes));
  EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
}

TEST(Store, OneBlobServesTwoClients) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1);
  store.record_upload(upload_of("a", bytes), bytes);
  store.record_upload(upload_of("b", bytes), bytes);
  EXPECT_EQ(store.uploads(1).size(), 2U);
  EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
}

TEST(Store, BytesThatDoNotHaveTheHashAreRefused) {
  const TemporaryFolder folder;
  Store store(folder.path());
  EXPECT_THROW(store.record_upload(upload_of("a", numbered_bytes(1)), numbered_bytes(2)),
               std::invalid_argument);
  EXPECT_TRUE(store.uploads(1).empty());
  EXPECT_EQ(files_in(folder.path() / "blobs"), 0U);
}

TEST(Store, ABlobIsFoundOnlyByAHash) {
  const TemporaryFolder folder;
  const Store store(folder.path());
  EXPECT_THROW(store.blob(std::string(64, 'a')), std::invalid_argument);
  EXPECT_THROW(store.blob("../coordinator.sqlite"), std::invalid_argument);
  EXPECT_THROW(store.blob(""), std::invalid_argument);
}

TEST(Store, ADamagedBlobIsNoticedAndReplacedByTheSameUpload) {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto bytes = numbered_bytes(1);
  store.record_upload(upload_of("a", bytes), bytes);
  flip_byte(store.blob(sha256_hex(bytes)), 500);
  EXPECT_THROW(store.blob(sha256_hex(bytes)), DecodeError);
  store.record_upload(upload_of("a", bytes), bytes);
  EXPECT_NO_THROW(store.blob(sha256_hex(bytes)));
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
  store.record_upload(upload_of("a", bytes), bytes);
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
    store.record_join(1, "client-" + std::to_string(i), std::string(500, 'x'), i);
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
    store.record_upload(upload_of("a", small), small);
    {
      const FileSizeLimit limit(100'000);
      EXPECT_THROW(store.record_upload(upload_of("b", large), large), std::system_error);
    }
    EXPECT_EQ(files_in(folder.path() / "blobs"), 1U);
    {
      const FileSizeLimit limit(2000);  // the blob fits, the database's log does not grow
      EXPECT_THROW(store.record_upload(upload_of("c", numbered_bytes(3)), numbered_bytes(3)),
                   std::system_error);
      EXPECT_THROW(store.record_join(1, "c", "cnn3", 1), std::system_error);
    }
    EXPECT_EQ(store.uploads(1).size(), 1U);
    store.record_upload(upload_of("b", large), large);  // there is room again
  }
  const Store store(folder.path());
  EXPECT_EQ(store.uploads(1).size(), 2U);
  EXPECT_TRUE(store.joins(1).empty());
}

}  // namespace
}  // namespace fedstill
