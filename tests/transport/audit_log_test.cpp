#include "transport/audit_log.h"

#include <gtest/gtest.h>

#include <fstream>
#include <system_error>

#include "model/atomic_file.h"
#include "model/decode_error.h"
#include "model/sha256.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"
#include "tests/transport/frames.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

AuditEntry some_entry(int number) {
  return {1'767'225'600'123 + number,
          "site-1",
          "sent",
          "Upload of round " + std::to_string(number),
          static_cast<std::uint64_t>(number) * 1000,
          some_hash('c')};
}

std::string text_of(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(input), {}};
}

class AuditLogTest : public testing::Test {
 protected:
  void write(int entries, int first = 0) {
    AuditLog log(file_);
    for (int i = first; i < first + entries; ++i) log.append(some_entry(i));
    log.sync();
  }
  void put(const std::string& text) { std::ofstream(file_, std::ios::binary) << text; }

  TemporaryFolder folder_;
  fs::path file_ = folder_.path() / "audit.jsonl";
};

TEST_F(AuditLogTest, GoldenLine) {
  AuditLog log(file_);
  log.append({1'767'225'600'123, "site \"1\"\\", "sent", "line\nbreak", 272'474, some_hash('c')});
  const std::string hashed =
      R"({"seq":1,"time":"2026-01-01T00:00:00.123Z","peer":"site \"1\"\\","action":"sent",)"
      R"("what":"line?break","bytes":272474,"sha256":")" +
      some_hash('c') + R"(","previous":")" + some_hash('0');
  EXPECT_EQ(text_of(file_),
            hashed + R"(","hash":")" + sha256_hex(std::as_bytes(std::span(hashed))) + "\"}\n");
}

TEST_F(AuditLogTest, GoesOnAfterARestart) {
  write(3);
  write(2, 3);
  const AuditSummary summary = verify_audit_log(file_);
  EXPECT_EQ(summary.entries, 5U);
  EXPECT_EQ(summary.torn_bytes, 0U);
  EXPECT_EQ(verify_audit_text(text_of(file_)).last_hash, summary.last_hash);
  EXPECT_EQ(AuditLog(file_).summary().last_hash, summary.last_hash);
}

TEST_F(AuditLogTest, EveryFlippedBitIsNoticed) {
  write(3);
  const std::string text = text_of(file_);
  for (std::size_t bit = 0; bit < 8 * (text.size() - 1); ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_THROW(verify_audit_text(damaged), DecodeError) << bit;
  }
}

TEST_F(AuditLogTest, LinesRemovedSwappedOrRepeatedAreNoticed) {
  write(4);
  const std::string text = text_of(file_);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin) + 1;
    lines.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  const auto expect_bad = [](const std::string& damaged, const std::string& line) {
    try {
      verify_audit_text(damaged);
      ADD_FAILURE();
    } catch (const DecodeError& error) {
      EXPECT_NE(std::string(error.what()).find("line " + line), std::string::npos) << error.what();
    }
  };
  expect_bad(lines[1] + lines[2] + lines[3], "1");
  expect_bad(lines[0] + lines[2] + lines[3], "2");
  expect_bad(lines[0] + lines[2] + lines[1] + lines[3], "2");
  expect_bad(lines[0] + lines[1] + lines[1] + lines[2], "3");
  expect_bad(lines[0] + "\n" + lines[1], "2");
  EXPECT_EQ(verify_audit_text(lines[0] + lines[1]).entries, 2U);  // what cannot be noticed
}

TEST_F(AuditLogTest, ATornLastLineIsCutOffAndAReadableOneNever) {
  write(3);
  const std::string text = text_of(file_);
  const std::size_t third = text.find('\n', text.find('\n') + 1) + 1;
  for (std::size_t size = third; size < text.size(); ++size) {
    put(text.substr(0, size));
    EXPECT_EQ(verify_audit_log(file_).torn_bytes, size - third);
    {
      AuditLog log(file_);
      EXPECT_EQ(log.summary().entries, 2U);
      EXPECT_EQ(log.summary().torn_bytes, size - third);
      log.append(some_entry(2));
    }
    ASSERT_EQ(text_of(file_), text);
  }
}

TEST_F(AuditLogTest, ADamagedMiddleIsNeverWrittenOver) {
  write(3);
  std::string text = text_of(file_);
  text[50] ^= 1;
  put(text);
  EXPECT_THROW(AuditLog{file_}, DecodeError);
  EXPECT_EQ(text_of(file_), text);
  put(std::string(100'000, 'x'));  // no line at all
  EXPECT_THROW(AuditLog{file_}, DecodeError);
}

TEST_F(AuditLogTest, AFullDiskLeavesNoHalfLine) {
  AuditLog log(file_);
  log.append(some_entry(0));
  {
    const FileSizeLimit limit(fs::file_size(file_) + 20);
    EXPECT_THROW(log.append(some_entry(1)), std::system_error);
  }
  log.append(some_entry(1));
  EXPECT_EQ(verify_audit_log(file_).entries, 2U);
  EXPECT_EQ(verify_audit_log(file_).torn_bytes, 0U);
}

TEST_F(AuditLogTest, AMissingFileIsASystemError) {
  EXPECT_THROW(verify_audit_log(file_), std::system_error);
  EXPECT_THROW(AuditLog{folder_.path() / "no" / "log"}, std::system_error);
}

TEST(AuditEntryOf, EveryFrameButTheManyHasOne) {
  for (const Message& message : every_message()) {
    const auto entry = audit_entry("site-1", {message, {}}, true, 5);
    const bool is_one_of_many = std::holds_alternative<BlobChunk>(message) ||
                                std::holds_alternative<BlobProgress>(message) ||
                                std::holds_alternative<Heartbeat>(message);
    ASSERT_EQ(entry.has_value(), !is_one_of_many);
    if (!entry) continue;
    EXPECT_EQ(entry->action, "received");
    EXPECT_TRUE(entry->what.starts_with(name(kind_of(message))));
  }
  const auto offer = audit_entry("s", {BlobOffer{some_hash('a'), 99, "update"}, {}}, false, 5);
  EXPECT_EQ(offer->what, "BlobOffer of update");
  EXPECT_EQ(offer->bytes, 99U);
  EXPECT_EQ(offer->sha256, some_hash('a'));
  const auto refused = audit_entry("s", {every_message()[3], {}}, false, 5);
  EXPECT_EQ(refused->what, "Acknowledgement of round 7: refused: no such client");
}

}  // namespace
}  // namespace fedstill
