#include "model/atomic_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>

#include "model/decode_error.h"

namespace fedstill {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public ::testing::Test {
 protected:
  AtomicFile() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              ("atomic_file_" + std::to_string(::getpid()) + "_" + test->name());
    fs::create_directories(folder_);
  }
  ~AtomicFile() override { fs::remove_all(folder_); }

  std::string text(const fs::path& path, std::size_t max_bytes = 1 << 24) const {
    const auto bytes = read_file(path, max_bytes);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  auto count_files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

  fs::path folder_;
};

TEST_F(AtomicFile, ReadsBackWhatWasWritten) {
  write_file_atomically(folder_ / "a", "hello");
  EXPECT_EQ(text(folder_ / "a"), "hello");
  write_file_atomically(folder_ / "empty", "");
  EXPECT_EQ(text(folder_ / "empty"), "");
}

TEST_F(AtomicFile, ReplacesTheOldContentAndLeavesNothingElse) {
  write_file_atomically(folder_ / "a", "a long first version");
  write_file_atomically(folder_ / "a", "second");
  EXPECT_EQ(text(folder_ / "a"), "second");
  EXPECT_EQ(count_files(), 1);
}

TEST_F(AtomicFile, HoldsMoreThanOneChunk) {
  std::string large(2'500'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 4099) large[i] = static_cast<char>('a' + i % 26);
  write_file_atomically(folder_ / "large", large);
  EXPECT_EQ(text(folder_ / "large"), large);
}

TEST_F(AtomicFile, AcceptsTheLimitAndRefusesOneByteMore) {
  write_file_atomically(folder_ / "a", "12345");
  EXPECT_EQ(text(folder_ / "a", 5), "12345");
  EXPECT_THROW(read_file(folder_ / "a", 4), DecodeError);
  EXPECT_THROW(read_file(folder_ / "a", 0), DecodeError);
}

TEST_F(AtomicFile, ReadsNoMoreOfAnEndlessFileThanTheLimit) {
  EXPECT_THROW(read_file("/dev/zero", 3'000'000), DecodeError);
}

TEST_F(AtomicFile, NamesThePathThatFailed) {
  try {
    read_file(folder_ / "missing", 10);
    FAIL() << "read a missing file";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_NE(std::string(error.what()).find((folder_ / "missing").string()), std::string::npos);
  }
  EXPECT_THROW(read_file(folder_, 10), std::system_error);
}

TEST_F(AtomicFile, RemovesTheTemporaryFileWhenTheRenameFails) {
  fs::create_directories(folder_ / "taken" / "inside");
  EXPECT_THROW(write_file_atomically(folder_ / "taken", "x"), std::system_error);
  EXPECT_EQ(count_files(), 1);
  EXPECT_THROW(write_file_atomically(folder_ / "none" / "x", "x"), std::system_error);
}

TEST_F(AtomicFile, LetsManyThreadsWriteTheSameName) {
  {
    std::vector<std::jthread> threads;
    for (char c = 'a'; c < 'e'; ++c) {
      threads.emplace_back([this, c] {
        for (int i = 0; i < 8; ++i) write_file_atomically(folder_ / "a", std::string(20000, c));
      });
    }
  }
  const std::string content = text(folder_ / "a");
  EXPECT_EQ(content, std::string(20000, content.at(0)));
  EXPECT_EQ(count_files(), 1);
}

// Whatever lies where the temporary file would go, a killed process's or a trap, is not touched.
TEST_F(AtomicFile, NeitherFollowsNorOverwritesWhatHasTheTemporaryName) {
  const fs::path precious = folder_ / "precious";
  write_file_atomically(precious, "keep");
  const auto trap = [&](int i) {
    return folder_ / ("a.tmp." + std::to_string(::getpid()) + "." + std::to_string(i));
  };
  for (int i = 0; i < 2000; i += 2) {
    fs::create_symlink(precious, trap(i));
    fs::create_hard_link(precious, trap(i + 1));
  }
  const auto before = count_files();
  write_file_atomically(folder_ / "a", "new");
  EXPECT_EQ(text(folder_ / "a"), "new");
  EXPECT_EQ(text(precious), "keep");
  EXPECT_EQ(count_files(), before + 1);
}

}  // namespace
}  // namespace fedstill
