#include "transport/blob_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <stdexcept>
#include <system_error>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thin_disk.h"
#include "tests/transport/frames.h"
#include "transport/blob_sender.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;
using State = BlobWriter::State;

BlobInfo info_of(std::span<const std::byte> bytes) { return {sha256_hex(bytes), bytes.size()}; }

std::size_t files_in(const fs::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++count;
  return count;
}

std::uint64_t bytes_in(const fs::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) bytes += entry.file_size();
  return bytes;
}

// A store, reopened at will as after a restart, with what is sent to it.
class BlobStoreTest : public testing::Test {
 protected:
  void open(const BlobLimits& limits = {}) { store_.emplace(folder_.path() / "blobs", limits); }
  void SetUp() override { open(); }

  // Sends bytes [begin, end) in pieces through a new writer.
  State send(std::size_t begin, std::size_t end, const std::string& owner = "site",
             std::size_t piece = 100) {
    BlobWriter writer(*store_, info_of(bytes_), owner);
    for (std::size_t at = begin; at < end; at += piece) {
      writer.append(at, std::span(bytes_).subspan(at, std::min(piece, end - at)));
    }
    expect_counted();
    return writer.state();
  }
  void expect_kept() {
    const BlobInfo blob = info_of(bytes_);
    ASSERT_TRUE(store_->has(blob.sha256));
    EXPECT_EQ(store_->info(blob.sha256), blob);
    EXPECT_EQ(read_file(store_->path(blob.sha256), 1 << 20), bytes_);
    expect_counted();
  }
  void expect_counted() { EXPECT_EQ(store_->total_bytes(), bytes_in(folder())); }
  fs::path folder() const { return folder_.path() / "blobs"; }

  TemporaryFolder folder_;
  std::optional<BlobStore> store_;
  std::vector<std::byte> bytes_ = some_bytes(1000);
};

TEST_F(BlobStoreTest, KeepsWhatIsAddedUnderItsHash) {
  const auto other = some_bytes(10, 2);
  EXPECT_EQ(store_->add(bytes_), info_of(bytes_));
  EXPECT_EQ(store_->add(bytes_), info_of(bytes_));
  write_file_atomically(folder_.path() / "file", other);
  EXPECT_EQ(store_->add_file(folder_.path() / "file"), info_of(other));
  for (const bool reopened : {false, true}) {
    if (reopened) open();
    expect_kept();
    EXPECT_EQ(store_->list().size(), 2U);
    EXPECT_EQ(store_->total_bytes(), 1010U);
  }
  store_->remove(info_of(other).sha256);
  store_->remove(info_of(other).sha256);
  EXPECT_EQ(store_->list(), std::vector{info_of(bytes_)});
  expect_counted();
}

TEST_F(BlobStoreTest, ABlobIsFoundOnlyByAHash) {
  for (const std::string& bad : {std::string("../x"), std::string(), some_hash('a')}) {
    EXPECT_FALSE(store_->has(bad));
    EXPECT_THROW(store_->path(bad), std::invalid_argument);
  }
}

TEST_F(BlobStoreTest, ArrivesInPiecesOfAnySize) {
  for (const std::size_t piece : {1U, 7U, 999U, 1000U, 5000U}) {
    EXPECT_EQ(send(0, 1000, "site", piece), State::kComplete);
    expect_kept();
    EXPECT_EQ(files_in(folder()), 1U);
    store_->remove(info_of(bytes_).sha256);
  }
}

// Written on one thread while another hashes.
TEST_F(BlobStoreTest, ArrivesInLargePieces) {
  bytes_ = some_bytes(1'000'001);
  for (const std::size_t piece : {std::size_t{256} << 10, std::size_t{300'000}, bytes_.size()}) {
    EXPECT_EQ(send(0, bytes_.size(), "site", piece), State::kComplete);
    expect_kept();
    store_->remove(info_of(bytes_).sha256);
  }
}

TEST_F(BlobStoreTest, GoesOnAfterACutAtAnyByteAndARestart) {
  for (std::size_t cut = 0; cut < 1000; cut += 13) {
    EXPECT_EQ(send(0, cut), State::kOpen);
    open();
    EXPECT_FALSE(store_->has(info_of(bytes_).sha256));
    EXPECT_EQ(BlobWriter(*store_, info_of(bytes_), "site").offset(), cut);
    EXPECT_EQ(send(cut, 1000), State::kComplete);
    expect_kept();
    store_->remove(info_of(bytes_).sha256);
  }
}

// All bytes were written, the file was not yet renamed.
TEST_F(BlobStoreTest, AKillBeforeTheRenameIsMadeGood) {
  send(0, 999);
  const fs::path part = folder() / (info_of(bytes_).sha256 + ".site.part");
  std::ofstream(part, std::ios::app | std::ios::binary).put(static_cast<char>(bytes_.back()));
  open();
  EXPECT_EQ(BlobWriter(*store_, info_of(bytes_), "site").state(), State::kComplete);
  expect_kept();
}

TEST_F(BlobStoreTest, WhatIsThereIsNotWantedAgain) {
  send(0, 1000);
  BlobWriter writer(*store_, info_of(bytes_), "other");
  EXPECT_EQ(writer.state(), State::kComplete);
  EXPECT_EQ(writer.offset(), 1000U);
  EXPECT_EQ(writer.append(0, bytes_), State::kComplete);
  EXPECT_EQ(files_in(folder()), 1U);
}

TEST_F(BlobStoreTest, DuplicatesAreIgnoredAndGapsRefused) {
  BlobWriter writer(*store_, info_of(bytes_), "site");
  const auto piece = [&](std::size_t at, std::size_t count) {
    return std::span(bytes_).subspan(at, count);
  };
  writer.append(0, piece(0, 300));
  EXPECT_EQ(writer.append(0, piece(0, 300)), State::kOpen);
  EXPECT_EQ(writer.append(100, piece(100, 300)), State::kOpen);  // the second half is new
  EXPECT_EQ(writer.offset(), 400U);
  EXPECT_THROW(writer.append(401, piece(401, 10)), DecodeError);
  EXPECT_THROW(writer.append(~std::uint64_t{0}, piece(0, 10)), DecodeError);
  EXPECT_EQ(writer.append(400, piece(400, 600)), State::kComplete);
  expect_kept();
}

TEST_F(BlobStoreTest, MoreThanWasAnnouncedIsRefused) {
  BlobWriter writer(*store_, info_of(bytes_), "site");
  EXPECT_THROW(writer.append(0, some_bytes(1001)), DecodeError);
  writer.append(0, std::span(bytes_).first(999));
  EXPECT_THROW(writer.append(999, some_bytes(2)), DecodeError);
  EXPECT_EQ(writer.append(999, std::span(bytes_).last(1)), State::kComplete);
}

TEST_F(BlobStoreTest, EveryWrongByteIsNoticedAndNothingIsKept) {
  bytes_ = some_bytes(50);
  for (std::size_t at = 0; at < 50; ++at) {
    auto wrong = bytes_;
    wrong[at] ^= std::byte{1};
    BlobWriter writer(*store_, info_of(bytes_), "site");
    EXPECT_EQ(writer.append(0, wrong), State::kDamaged);
    EXPECT_EQ(files_in(folder()), 0U);
    expect_counted();
  }
  EXPECT_EQ(send(0, 50), State::kComplete);
}

TEST_F(BlobStoreTest, ALieAboutTheSizeIsNoticed) {
  BlobWriter writer(*store_, {info_of(bytes_).sha256, 999}, "site");
  EXPECT_EQ(writer.append(0, std::span(bytes_).first(999)), State::kDamaged);
  EXPECT_EQ(send(0, 1000), State::kComplete);
}

TEST_F(BlobStoreTest, AFileOnDiskThatChangedIsNoticed) {
  send(0, 500);
  {
    std::fstream file(folder() / (info_of(bytes_).sha256 + ".site.part"));
    file.put('x');
  }
  EXPECT_EQ(send(500, 1000), State::kDamaged);
  EXPECT_EQ(send(0, 1000), State::kComplete);
}

TEST_F(BlobStoreTest, NobodySpoilsAnothersTransfer) {
  BlobWriter honest(*store_, info_of(bytes_), "honest");
  BlobWriter liar(*store_, info_of(bytes_), "liar");
  honest.append(0, std::span(bytes_).first(500));
  liar.append(0, some_bytes(700, 9));
  EXPECT_EQ(liar.append(700, some_bytes(300, 8)), State::kDamaged);
  EXPECT_EQ(honest.append(500, std::span(bytes_).last(500)), State::kComplete);
  expect_kept();
}

TEST_F(BlobStoreTest, TwoMayBringTheSame) {
  BlobWriter first(*store_, info_of(bytes_), "a"), second(*store_, info_of(bytes_), "b");
  first.append(0, std::span(bytes_).first(1));
  EXPECT_EQ(second.append(0, bytes_), State::kComplete);
  EXPECT_EQ(first.append(1, std::span(bytes_).last(999)), State::kComplete);
  EXPECT_EQ(files_in(folder()), 1U);
  expect_kept();
}

TEST_F(BlobStoreTest, AnOwnerHasOneOnItsWay) {
  send(0, 500, "a");
  send(0, 500, "b");
  send(0, 500, "a.b");
  bytes_ = some_bytes(1000, 2);
  send(0, 10, "a");
  EXPECT_EQ(files_in(folder()), 3U);
  store_->remove_partial("a");
  EXPECT_EQ(files_in(folder()), 2U);
  store_->remove_partials();
  EXPECT_EQ(files_in(folder()), 0U);
  expect_counted();
}

TEST_F(BlobStoreTest, LimitsHold) {
  BlobLimits limits;
  limits.max_blob_bytes = 999;
  open(limits);
  EXPECT_THROW(BlobWriter(*store_, info_of(bytes_), "site"), std::invalid_argument);
  limits = {};
  limits.max_total_bytes = 1500;
  open(limits);
  EXPECT_EQ(send(0, 1000), State::kComplete);
  bytes_ = some_bytes(1000, 2);
  EXPECT_EQ(send(0, 500), State::kOpen);
  EXPECT_THROW(send(500, 600), std::system_error);
  EXPECT_THROW(store_->add(some_bytes(1, 3)), std::system_error);
  expect_counted();
  open();
  EXPECT_EQ(send(500, 1000), State::kComplete);
}

TEST_F(BlobStoreTest, BadNamesAndSizesAreTheCallersMistake) {
  EXPECT_THROW(BlobWriter(*store_, {"../x", 1}, "site"), std::invalid_argument);
  EXPECT_THROW(BlobWriter(*store_, {some_hash('a'), 0}, "site"), std::invalid_argument);
}

TEST_F(BlobStoreTest, AFullDiskKeepsWhatWasWritten) {
  for (const std::size_t piece : {15'000U, 300'000U}) {
    bytes_ = some_bytes(3 * piece);
    const auto second = std::span(bytes_).subspan(piece, piece);
    {
      const FileSizeLimit limit(piece + piece / 3);
      BlobWriter writer(*store_, info_of(bytes_), "site");
      writer.append(0, std::span(bytes_).first(piece));
      EXPECT_THROW(writer.append(piece, second), std::system_error);
      EXPECT_THROW(writer.append(piece, second), std::logic_error);
      expect_counted();
    }
    BlobWriter writer(*store_, info_of(bytes_), "site");
    EXPECT_GE(writer.offset(), piece);
    EXPECT_EQ(writer.append(writer.offset(), std::span(bytes_).subspan(writer.offset())),
              State::kComplete);
    expect_kept();
  }
}

// What could not be flushed reads as if it had been, so it must not be gone on from.
TEST_F(BlobStoreTest, WhatCannotBeFlushedIsThrownAway) {
  const std::string obstacle = find_mount_obstacle();
  if (!obstacle.empty()) GTEST_SKIP() << obstacle;
  const ThinDisk disk;
  BlobStore store(disk.path() / "blobs");
  bytes_ = some_bytes(8 << 20);
  BlobWriter writer(store, info_of(bytes_), "site");
  const auto half = std::span(bytes_).first(4 << 20), rest = std::span(bytes_).last(4 << 20);
  EXPECT_EQ(writer.append(0, half), State::kOpen);
  try {
    writer.append(half.size(), rest);
    ADD_FAILURE() << "was flushed";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("sync"), std::string::npos) << error.what();
  }
  EXPECT_EQ(files_in(disk.path() / "blobs"), 0U);
  EXPECT_EQ(store.total_bytes(), 0U);
  EXPECT_FALSE(store.has(info_of(bytes_).sha256));
  EXPECT_EQ(BlobWriter(store, info_of(bytes_), "site").offset(), 0U);
}

TEST_F(BlobStoreTest, AnUnusableFolderIsASystemError) {
  std::ofstream(folder_.path() / "file") << "x";
  EXPECT_THROW(BlobStore(folder_.path() / "file"), std::system_error);
}

TEST(BlobSender, SendsFromTheOffsetInChunks) {
  const TemporaryFolder folder;
  const auto bytes = some_bytes(1000);
  const fs::path file = folder.path() / "file";
  write_file_atomically(file, bytes);
  for (const std::size_t offset : {0U, 1U, 999U, 1000U}) {
    BlobSender sender(file, info_of(bytes), offset);
    std::vector<std::byte> sent;
    while (const auto frame = sender.next_chunk(300)) {
      EXPECT_EQ(frame->message, Message(BlobChunk{info_of(bytes).sha256, offset + sent.size()}));
      EXPECT_LE(frame->body.size(), 300U);
      sent.insert(sent.end(), frame->body.begin(), frame->body.end());
    }
    EXPECT_TRUE(std::ranges::equal(sent, std::span(bytes).subspan(offset)));
    EXPECT_EQ(sender.offset(), 1000U);
  }
}

TEST(BlobSender, NoticesAFileThatIsNotTheBlob) {
  const TemporaryFolder folder;
  const auto bytes = some_bytes(1000);
  const fs::path file = folder.path() / "file";
  EXPECT_THROW(BlobSender(file, info_of(bytes), 0), std::system_error);
  write_file_atomically(file, bytes);
  EXPECT_THROW(BlobSender(file, info_of(bytes), 1001), std::invalid_argument);
  BlobSender sender(file, {info_of(bytes).sha256, 2000}, 0);
  EXPECT_EQ(sender.next_chunk()->body.size(), 1000U);
  EXPECT_THROW(sender.next_chunk(), DecodeError);
}

// Cuts at random places, restarts of the receiver in between.
TEST(BlobSender, ATransferSurvivesAnyNumberOfCuts) {
  constexpr unsigned kSeed = 4;
  std::mt19937 random(kSeed);
  const TemporaryFolder folder;
  const auto bytes = some_bytes(100'000);
  write_file_atomically(folder.path() / "file", bytes);
  for (int trial = 0; trial < 20; ++trial) {
    std::uint64_t sent = 0;
    for (State state = State::kOpen; state != State::kComplete;) {
      BlobStore store(folder.path() / "blobs");
      BlobWriter writer(store, info_of(bytes), "site");
      BlobSender sender(folder.path() / "file", info_of(bytes), writer.offset());
      const auto chunks = random() % 8;
      for (unsigned i = 0; i < chunks; ++i) {
        const auto frame = sender.next_chunk(1 + random() % 9000);
        if (!frame) break;
        writer.append(std::get<BlobChunk>(frame->message).offset, frame->body);
        sent += frame->body.size();
      }
      state = writer.state();
      ASSERT_NE(state, State::kDamaged) << "seed " << kSeed << " trial " << trial;
    }
    EXPECT_EQ(sent, bytes.size());  // not a byte twice
    BlobStore(folder.path() / "blobs").remove(info_of(bytes).sha256);
  }
}

}  // namespace
}  // namespace fedstill
